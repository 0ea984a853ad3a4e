"""Drills as values: what a clone is made of, what is done to it, what was seen.

Pure. The one place where these are carried out is `engines/drill`, in a Job of its own.
"""
