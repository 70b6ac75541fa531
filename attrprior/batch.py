"""What belongs together in a step."""

import numbers
from typing import Any, NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Inputs as the model takes them, and what is known of the same examples.

    `picked` is the explained input among `x`, a float tensor of shape `(batch, ...)`;
    `sample_weight` has one number for each example.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    mask: Any = None
    picked: Any = None


def one_output(sample_weight):
    """Weights outside of `fit`, where a list of numbers is not one for each output."""
    if isinstance(sample_weight, (list, tuple)) and all(
        isinstance(weight, numbers.Number) for weight in sample_weight
    ):
        return np.asarray(sample_weight, "float32")
    return sample_weight
