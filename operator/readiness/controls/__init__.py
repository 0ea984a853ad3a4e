"""Every control and gate, one module per family, found by `registry.discover` through `PLUGINS`.

A control is a value: metadata, what to ask, how to judge the answers. Nothing here performs I/O.
"""
