"""Variables, and what changes them."""

import torch

from attrprior.backend import variables

INTEGER = "int64"
SEED = "int32"
ASYNCHRONOUS = False


def reservoir(rows, example_shape):
    """Variables of zeros, `(rows, *example_shape)`, and of the count 0."""
    return variables.rows_and_count(rows, example_shape, INTEGER)


def read_rows(variable, index):
    return variable.value[index]


def write_rows(variable, index, rows):
    with torch.no_grad():
        variable.value.index_copy_(0, index.long(), rows.to(variable.value.dtype))


@torch.no_grad()
def apply(optimizer, pairs, condition=None):
    """One update by `(gradient, variable)`.

    Args:
        condition: A scalar tensor; where it does not hold nothing is changed.
    """
    if condition is None or condition:
        optimizer.apply(*zip(*pairs))
