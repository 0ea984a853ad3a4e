"""A real Kubernetes cluster on one Linux machine, from source and Debian packages, without a registry.

Standard library only: it must run before any virtual environment exists, and be liftable as it is.
"""
