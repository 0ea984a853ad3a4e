"""Talking to the members of data services: one module for each kind. They decide nothing."""
