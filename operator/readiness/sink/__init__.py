"""The program of a drill's fault sink and store gates: servers on ports that misbehave when told to.

Runs in pods of its own, with neither credentials nor the operator's engines. It records and never
judges; what it says is defined in `drills/sink.py`.
"""
