"""What the number peers share: one thread, inputs and results as files of doubles, windows of passes."""
import os

for name in ("OMP", "OPENBLAS", "MKL", "NUMBA", "RAYON", "POLARS", "NUMEXPR"):
    os.environ[f"{name}_NUM_THREADS"] = "1"

import argparse
import json
import time
import warnings

import numpy as np

#: as in our window: at least so many passes, and so many seconds, after one that is not counted
PASSES_MIN, WINDOW_SECONDS = 3, 1.0

warnings.simplefilter("ignore")


def options(what, forms):
    asked = argparse.ArgumentParser(prog=what)
    asked.add_argument("--dir", required=True)
    asked.add_argument("--form", choices=forms, required=True)
    asked.add_argument("--out", required=True)
    asked.add_argument("--cells", type=int, help="only the first of them")
    return asked.parse_args()


def read(folder, name):
    return np.fromfile(os.path.join(folder, f"{name}.f64"), dtype="<f8")


def write(file, numbers):
    np.ascontiguousarray(numbers, dtype="<f8").tofile(file)


def timed(one, cells, **more):
    """Passes until the window is full; prints the median and returns the last result."""
    found = one()
    seconds, began = [], time.perf_counter()
    while len(seconds) < PASSES_MIN or time.perf_counter() - began < WINDOW_SECONDS:
        started = time.perf_counter()
        found = one()
        seconds.append(time.perf_counter() - started)
    middle = sorted(seconds)[len(seconds) // 2]
    print(json.dumps({"cells": cells, "seconds": middle, "passes": len(seconds), **more}))
    return found
