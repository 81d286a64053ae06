#!/usr/bin/env python3
"""Train the network: python train.py --resolution-schedule 96:3,160:5,224:3.

The same as `depthseg train`, for a checkout that is not installed.
"""

import sys

import depthseg

if __name__ == "__main__":
    depthseg.main(["train", *sys.argv[1:]])
