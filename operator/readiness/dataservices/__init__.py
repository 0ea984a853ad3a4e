"""Data services that the operator provides: each kind is a value, found in `kinds.py`.

Pure: orders in; manifests, refusals, readings and commands out. Nothing here knows a cluster.
"""
