"""One small application that does everything right, in plain Python: an example to copy.

`DEFECTS=HDR-002/missing-on-404,...` breaks one clause of one criterion each, to prove that the operator sees it.
Without the folder `defects` and the two lines in `main.py` that name it, it is an ordinary service.
"""
