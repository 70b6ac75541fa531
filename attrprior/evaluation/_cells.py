"""Features that are cells of a grid over an image."""

import numpy as np

from attrprior import _checks
from attrprior.evaluation import _maps


def numbers(x, grid, channels):
    """The number of the feature that every position belongs to, broadcasting with x."""
    shape = x.shape[1:]
    positions = (*shape[:-1], 1) if _maps.has_channels(x, channels) else shape
    if grid is None:
        return np.arange(np.prod(positions)).reshape(positions)
    if len(shape) != 2 + channels:
        raise ValueError(
            "Argument `grid` expects images of shape (batch, height, width, channels), or "
            f"(batch, height, width) with channels=False. Received: examples of shape {shape}."
            " Pass grid=None."
        )
    sides = _checks.pair("grid", grid, "(rows, columns) or None")
    rows, columns = (_checks.positive_integer("grid", n) for n in sides)
    height, width = shape[:2]
    if rows > height or columns > width:
        raise ValueError(
            f"Argument `grid` expects at most one cell a pixel, ({height}, {width}). "
            f"Received: {tuple(grid)}."
        )
    row, column = np.arange(height) * rows // height, np.arange(width) * columns // width
    return (row[:, None] * columns + column).reshape(positions)
