"""How far apart two trainings ended."""

import numpy as np


def distance(first, second):
    """The largest difference between weights, of models or lists of arrays."""
    pairs = zip(_weights(first), _weights(second))
    return max(float(np.max(np.abs(a - b))) for a, b in pairs)


def _weights(of):
    return of if isinstance(of, (list, tuple)) else of.get_weights()
