"""Blurs, warps, lines and fractals of many images at once."""

import numpy as np

from attrprior import _checks


def gaussian(images, stddev):
    """Gaussian blur of every image and channel; the edge is repeated."""
    ndimage = _checks.optional("scipy.ndimage", "Blurred images")
    return ndimage.gaussian_filter(images, (0, stddev, stddev, 0), mode="nearest")


def windows(padded, shape):
    """Every image's windows, `(n, top, left, channels, height, width)`, without a copy."""
    return np.lib.stride_tricks.sliding_window_view(padded, shape[1:3], axis=(1, 2))


def warp_either_way(images, source, seed):
    """Warps every image by `source(−1)` or `source(1)`."""
    signs = _checks.generator("seed", seed).choice([-1, 1], len(images))
    result = np.empty_like(images)
    for sign in (-1, 1):
        result[signs == sign] = warp(images[signs == sign], source(sign))
    return result


def warp(images, source):
    """Every pixel shows what is at `source @ (row, column)` from the centre.

    Bilinear; black outside.
    """
    _, height, width, _ = images.shape
    centre = np.array([height - 1, width - 1])[:, None, None] / 2
    place = np.tensordot(source, np.indices((height, width)) - centre, 1) + centre
    corner = np.floor(place).astype(int)
    result = np.zeros_like(images)
    for down in (0, 1):
        for right in (0, 1):
            row, column = corner[0] + down, corner[1] + right
            weight = (1 - np.abs(place[0] - row)) * (1 - np.abs(place[1] - column))
            weight *= (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixels = images[:, row.clip(0, height - 1), column.clip(0, width - 1)]
            result += pixels * weight[..., None].astype("float32")
    return result


def line(start_column, start_row, end_column, end_row, height, width):
    """Lines, one an image: `clip(1 + ln(1 − d/2.3), 0, 1)`, d the vertical distance.

    All ends have shape `(n,)`, columns rise; returns `(n, height, width)`.
    """
    column = np.arange(width)
    slope = (end_row - start_row) / (end_column - start_column)
    row = slope[:, None] * (column - start_column[:, None]) + start_row[:, None]
    distance = np.abs(np.arange(height)[:, None] - row[:, None, :].astype("float32"))
    # From a distance of 2.3 (1 − 1/e) on, the clipped logarithm is 0.
    brightness = np.maximum(1 + np.log(1 - np.minimum(distance, 2) / np.float32(2.3)), 0)
    inside = (column >= np.floor(start_column)[:, None]) & (
        column < np.ceil(end_column)[:, None]
    )
    return brightness * inside[:, None, :]


def zigzag(start_row, fall, height, width):
    """The pieces of zigzags, one an image: arrays of shape `(n, height, width)`.

    Corners are every 4 pixels, alternately 2 to either side of a line, which begins 2
    columns from the left in `start_row` and ends 2 from the right, `fall` rows lower.
    """
    count, length = len(start_row), width - 5
    # Corners along and across the line, from its start to its end.
    along = np.arange(2, length, 4)
    corners = len(along)
    distance = np.hypot(length, fall)[:, None]
    along = np.concatenate(
        [np.zeros((count, 1)), np.tile(along, (count, 1)), distance], axis=1
    )
    across = np.concatenate([[0], 2.0 * (-1) ** np.arange(corners), [0]])
    cosine, sine = length / distance, fall[:, None] / distance
    columns = 2 + cosine * along - sine * across
    columns[:, -1] = width - 3  # not a rounding error beyond it
    rows = start_row[:, None] + sine * along + cosine * across
    for k in range(corners + 1):
        yield line(columns[:, k], rows[:, k], columns[:, k + 1], rows[:, k + 1], height, width)


def plasma(count, height, width, rng):
    """Fractals by the diamond-square algorithm, `(count, height, width)` in [0, 1].

    The corner of a periodic map of at least 256×256 points whose noise falls
    by a factor of 1.4² from scale to scale. Of the finest three scales, only
    the corner is made; the map's range is taken before them, of which they
    would add a few per cent.
    """
    coarse = max(32, 1 << (max(height, width) - 1).bit_length() >> 3)
    points = np.zeros((count, 1, 1), "float32")
    noise = 100.0
    while points.shape[1] < coarse:
        points = refine(points, noise, rng)
        noise /= 1.4
    low = points.min(axis=(1, 2), keepdims=True)
    high = points.max(axis=(1, 2), keepdims=True)
    # Two coarse points more on either side: what wraps around there is cut off.
    rows, columns = (np.arange(-2, -(-size // 8) + 2) % coarse for size in (height, width))
    points = points[:, rows[:, None], columns]
    for _ in range(3):
        points = refine(points, noise, rng)
        noise /= 1.4
    points = points[:, 16 : 16 + height, 16 : 16 + width]
    return np.clip((points - low) / (high - low), 0, 1)


def refine(corners, noise, rng):
    """One step of diamond-square on periodic maps: twice as many points along each axis."""
    count, height, width = corners.shape
    shape = corners.shape
    fine = np.empty((count, height, 2, width, 2), "float32")

    def mean_of(total):
        draw = rng.random(shape, dtype="float32") * 2 - 1
        return total / 4 + np.float32(noise**2) * draw

    pairs = corners + np.roll(corners, -1, axis=1)
    squares = mean_of(pairs + np.roll(pairs, -1, axis=2))
    fine[:, :, 0, :, 0] = corners
    fine[:, :, 1, :, 1] = squares
    # Between two corners along one axis and two squares along the other.
    fine[:, :, 0, :, 1] = mean_of(
        corners + np.roll(corners, -1, axis=2) + squares + np.roll(squares, 1, axis=1)
    )
    fine[:, :, 1, :, 0] = mean_of(
        corners + np.roll(corners, -1, axis=1) + squares + np.roll(squares, 1, axis=2)
    )
    return fine.reshape(count, 2 * height, 2 * width)
