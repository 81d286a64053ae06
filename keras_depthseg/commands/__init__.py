"""The command line: `depthseg` and `train.py`."""
