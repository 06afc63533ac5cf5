"""Makes the files beside it: python3 make.py (needs numpy, rasterio 1.4, tifffile)."""

import numpy
import rasterio
import tifffile
from rasterio.transform import from_origin

r, c = numpy.mgrid[0:64, 0:96]
pixels = ((c * 7 + r * 131) % 60000 + 1).astype("uint16")
pixels[:, :10] = 0
with rasterio.open(
    "cog.tif", "w", driver="COG", width=96, height=64, count=1, dtype="uint16", nodata=0,
    crs="EPSG:32737", transform=from_origin(500000, 10000000, 10, 10), blocksize=32,
    compress="DEFLATE", predictor=2, overview_resampling="nearest", overview_count=2,
) as out:
    out.write(pixels, 1)
place = [
    (33550, "d", 3, (20.0, 20.0, 0.0)),
    (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 10000000.0, 0.0)),
]
r, c = numpy.mgrid[0:32, 0:48]
coarse = ((c * 7 + r * 131) % 60000 + 1).astype("uint16")
coarse[:, :10] = 0
tifffile.imwrite(
    "big.tif", coarse, bigtiff=True, byteorder=">", tile=(16, 16), compression="zlib",
    predictor=2, extratags=place, metadata=None,
)
tifffile.imwrite(
    "classes.tif", ((c + r) % 12).astype("uint8"), byteorder="<", tile=(16, 16),
    compression="zlib", extratags=place, metadata=None,
)
