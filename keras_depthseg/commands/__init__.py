"""The command `depthseg`; `train.py` is its sub-command `train`."""
