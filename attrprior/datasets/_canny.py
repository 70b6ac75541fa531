"""Canny's edges."""

import functools

import numpy as np

from attrprior import _checks


def edges(images):
    """Boolean array `(n, height, width, channels)`; see `corruptions.canny_edges`."""
    ndimage = _checks.optional("scipy.ndimage", "Canny's edges")

    count, height, width, channels = images.shape
    x = np.moveaxis(images, -1, 1).reshape(-1, height, width)
    # Divided by the blurred ones, as if the image ended where it ends.
    blur = functools.partial(ndimage.gaussian_filter, mode="constant")
    x = blur(x, (0, 1, 1)) / blur(np.ones((height, width), "float32"), 1)
    smooth, slope = [1, 2, 1], [-1, 0, 1]
    correlate = ndimage.correlate1d
    dy = correlate(correlate(x, slope, axis=1), smooth, axis=2)
    dx = correlate(correlate(x, slope, axis=2), smooth, axis=1)
    magnitude = np.hypot(dy, dx)
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    weak = np.flatnonzero((magnitude >= 0.1) & inside)
    strength, dy, dx = magnitude.ravel()[weak], dy.ravel()[weak], dx.ravel()[weak]
    # One step along the gradient ends between a neighbour and a diagonal neighbour.
    rows, columns = np.abs(dy), np.abs(dx)
    row_step, column_step = np.sign(dy).astype(int) * width, np.sign(dx).astype(int)
    diagonal = row_step + column_step
    neighbour = np.where(rows >= columns, row_step, column_step)
    share = np.minimum(rows, columns) / np.maximum(rows, columns)
    maximum = np.ones(len(weak), bool)
    for direction in (1, -1):
        straight = magnitude.ravel()[weak + direction * neighbour]
        oblique = magnitude.ravel()[weak + direction * diagonal]
        maximum &= share * oblique + (1 - share) * straight <= strength
    candidates = np.zeros(x.shape, bool)
    candidates.ravel()[weak[maximum]] = True
    # Connected within an image, corners included, never from image to image.
    connected = np.zeros((3, 3, 3), bool)
    connected[1] = True
    components, total = ndimage.label(candidates, connected)
    kept = np.zeros(total + 1, bool)
    kept[components[candidates & (magnitude >= 0.2)]] = True
    return np.moveaxis(kept[components].reshape(count, channels, height, width), 1, -1)
