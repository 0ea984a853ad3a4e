"""The controls, one module per family. Each module lists its own in `PLUGINS`.

A control is two pure functions (`ask`, `judge`) and its metadata; see `readiness.control`. A new
one touches its family's module and one table in `tests/controls/`; nothing else is edited.
"""
