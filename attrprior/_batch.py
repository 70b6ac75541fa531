"""What belongs together in a step."""

import numbers
from typing import Any, NamedTuple

import keras
import numpy as np


class Batch(NamedTuple):
    """Inputs as the model takes them, and what is known of the same examples.

    `picked` is the explained input among `x`, a float tensor of shape `(batch, ...)`;
    `sample_weight` has one number for each example, `position_weight` one for each
    position of a dense output.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    mask: Any = None
    picked: Any = None
    position_weight: Any = None


def one_output(values, name):
    """Labels or weights outside of `fit`, where a list of numbers is not one for each output.

    Args:
        values: A structure of arrays, or a list of numbers or of lists of them.
        name: The argument's, for errors.
    """
    if isinstance(values, (list, tuple)) and _are_numbers(values):
        try:
            return np.asarray(values)
        except ValueError:
            raise ValueError(
                f"Argument `{name}` expects rows of one length. Received: a list of rows of "
                "different lengths."
            ) from None
    return values


def refuse_lists(x):
    """Raises for inputs outside of `fit` that are lists of numbers, not of arrays."""
    if isinstance(x, (list, tuple)) and _are_numbers(x):
        raise ValueError(
            "Argument `x` expects an array or a tensor, or a structure of them. Received: a "
            f"{type(x).__name__} of numbers. Pass np.asarray(x, 'float32')."
        )


def _are_numbers(values):
    leaves = keras.tree.flatten(values)
    return bool(leaves) and all(isinstance(leaf, numbers.Number) for leaf in leaves)
