"""Backups as values: what a snapshot holds, how a run ended, where the repository is, what retention keeps.

Pure, and shared by everything that saves, restores or judges. It knows no cluster, no restic process and no clock.
"""
