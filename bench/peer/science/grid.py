"""The peers of the grid row, on one thread: daily rain of cells by inverse distance from stations with
gaps, summed over phases under a daily cap, by vectorised NumPy or by SciPy's sparse matrices.

usage: grid.py --dir INPUTS --form numpy|sparse --out FILE
Tries several sizes of chunk first and keeps the fastest. The weights are found beforehand, as ours.
Prints one JSON line with the median seconds of a pass, and leaves in FILE, for each cell and phase,
the sum of the known days and how many are missing.
"""
import time

import peer
import numpy as np

CELLS, DAYS, STATIONS_MIN = 10_000, 365, 3
CHUNKS = (32, 64, 128, 256, 512, 1024, 2048)


def phase_sums(weighed, weights, stations, phases, out):
    """From the sums over stations of some cells to their phases; spoils its arguments."""
    enough = stations >= STATIONS_MIN
    rain = np.divide(weighed, weights, out=np.zeros_like(weighed), where=enough)
    for number, (first, end, cap) in enumerate(phases):
        out[:, number, 0] = np.minimum(rain[:, first:end], cap).sum(axis=1)
        out[:, number, 1] = (end - first) - np.count_nonzero(enough[:, first:end], axis=1)


def numpy_form(days, index, weight, phases, chunk):
    is_near = (weight > 0).astype(float)
    room = [np.empty((chunk, DAYS)) for _ in range(5)]
    out = np.empty((CELLS, len(phases), 2))

    def one():
        known = (~np.isnan(days)).astype(float)
        rain = np.nan_to_num(days, nan=0.0)
        for first in range(0, CELLS, chunk):
            last = min(CELLS, first + chunk)
            mm, there, weighed, weights, stations = (part[: last - first] for part in room)
            weighed[...] = weights[...] = stations[...] = 0.0
            for near in range(index.shape[1]):
                station, w = index[first:last, near], weight[first:last, near, None]
                np.take(known, station, axis=0, out=there, mode="clip")
                np.take(rain, station, axis=0, out=mm, mode="clip")
                mm *= w
                weighed += mm
                stations += np.multiply(there, is_near[first:last, near, None], out=mm)
                there *= w
                weights += there
            phase_sums(weighed, weights, stations, phases, out[first:last])
        return out

    return one


def sparse_form(days, index, weight, phases, chunk):
    import scipy.sparse

    starts = np.arange(0, index.size + 1, index.shape[1])
    matrix = lambda of: scipy.sparse.csr_matrix(
        (of.ravel(), index.ravel(), starts), shape=(CELLS, len(days))
    )
    blend, count = matrix(weight), matrix((weight > 0).astype(float))
    ranges = [(first, min(CELLS, first + chunk)) for first in range(0, CELLS, chunk)]
    # cut into chunks beforehand: the matrices do not change with the weather
    parts = [(first, last, blend[first:last], count[first:last]) for first, last in ranges]
    out = np.empty((CELLS, len(phases), 2))

    def one():
        known = (~np.isnan(days)).astype(float)
        both = np.hstack([np.nan_to_num(days, nan=0.0), known])
        for first, last, blend, count in parts:
            sums = blend @ both
            phase_sums(sums[:, :DAYS], sums[:, DAYS:], count @ known, phases, out[first:last])
        return out

    return one


def fastest(form, *inputs):
    def seconds(chunk):
        one, best = form(*inputs, chunk), float("inf")
        for _ in range(3):
            started = time.perf_counter()
            one()
            best = min(best, time.perf_counter() - started)
        return best

    return min(CHUNKS, key=seconds)


if __name__ == "__main__":
    options = peer.options("grid", ["numpy", "sparse"])
    days = peer.read(options.dir, "days").reshape(-1, DAYS)
    index = peer.read(options.dir, "stations").astype(np.int64).reshape(CELLS, -1)
    weight = peer.read(options.dir, "weights").reshape(CELLS, -1)
    phases = peer.read(options.dir, "phases").reshape(-1, 3)
    phases = [(int(first), int(end), cap) for first, end, cap in phases]
    form = {"numpy": numpy_form, "sparse": sparse_form}[options.form]
    chunk = fastest(form, days, index, weight, phases)
    one = form(days, index, weight, phases, chunk)
    peer.write(options.out, peer.timed(one, CELLS, chunk=chunk))
