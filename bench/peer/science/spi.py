"""The peers of the SPI row, on one thread: `climate-indices`, called for each cell as its users do or
once for all cells, and vectorised NumPy with SciPy.

usage: spi.py --dir INPUTS --form call-a-cell|one-array|numpy --out FILE [--cells N]
Reads INPUTS/months.f64 (cells in rows, months in columns, from a January on), prints one JSON line
with the median seconds of a pass, and leaves the scores in FILE, NaN where there is none.
"""
import logging

import peer
import numpy as np
from scipy.special import gammainc, ndtri

MONTHS, SCALE, CLIP = 480, 3, 3.09
#: cells worked on at once, the fastest of 16 … 10,000 where this was written
CHUNK = 128


def block(rain, out):
    """SPI of some cells: McKee's, gamma by Thom for each calendar month, zeros a mass of their own."""
    months = rain.shape[1]
    totals = np.full_like(rain, np.nan)
    totals[:, SCALE - 1 :] = rain[:, SCALE - 1 :]
    for back in range(1, SCALE):
        totals[:, SCALE - 1 :] += rain[:, SCALE - 1 - back : months - back]
    totals = totals.reshape(len(rain), months // 12, 12)
    logs = np.log(totals)
    wet = totals > 0
    known = np.count_nonzero(~np.isnan(totals), axis=1)
    wets = np.count_nonzero(wet, axis=1)
    mean = np.nansum(totals, axis=1) / wets
    a = np.log(mean) - np.sum(logs, axis=1, where=wet) / wets
    alpha = (1 + np.sqrt(1 + 4 * a / 3)) / (4 * a)
    mass = (known - wets) / known
    # from here on in place: the logarithms are done with
    shares = np.multiply(totals, (alpha / mean)[:, None, :], out=logs)
    gammainc(alpha[:, None, :], shares, out=shares)
    shares *= (1 - mass)[:, None, :]
    shares += mass[:, None, :]
    ndtri(shares, out=shares)
    np.clip(shares, -CLIP, CLIP, out=out.reshape(shares.shape))


def numpy_form(rain):
    out = np.empty_like(rain)

    def one():
        with np.errstate(all="ignore"):
            for first in range(0, len(rain), CHUNK):
                block(rain[first : first + CHUNK], out[first : first + CHUNK])
        return out

    return one, lambda scores: scores


def climate_indices_forms(rain, form):
    import structlog
    from climate_indices import compute, indices

    # its log lines cost time and say nothing here
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first, last = 1981, 1981 + MONTHS // 12 - 1
    asked = (SCALE, indices.Distribution.gamma, first, first, last, compute.Periodicity.monthly)
    if form == "call-a-cell":
        return lambda: np.array([indices.spi(row, *asked) for row in rain]), lambda scores: scores
    # its own layout: time first, and the block declared as such
    block_of_cells = np.ascontiguousarray(rain.T)[:, :, None]
    return (
        lambda: indices.spi(block_of_cells, *asked, spatial_time_major=True),
        lambda scores: np.ascontiguousarray(scores.reshape(MONTHS, -1).T),
    )


if __name__ == "__main__":
    options = peer.options("spi", ["call-a-cell", "one-array", "numpy"])
    rain = peer.read(options.dir, "months").reshape(-1, MONTHS)
    if options.cells:
        rain = np.ascontiguousarray(rain[: options.cells])
    is_numpy = options.form == "numpy"
    one, as_rows = numpy_form(rain) if is_numpy else climate_indices_forms(rain, options.form)
    found = peer.timed(one, len(rain))
    peer.write(options.out, as_rows(found))
