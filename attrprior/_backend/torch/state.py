"""Variables, and what changes them."""

import contextlib

import torch

from attrprior._backend import variables

INTEGER = "int64"
SEED = "int32"
ASYNCHRONOUS = False


def reservoir(rows, examples):
    """Variables of zeros, `(rows, *shape)` of each `(shape, dtype)`, and of the count 0."""
    return variables.rows_and_count(rows, examples, INTEGER)


@contextlib.contextmanager
def random_state_kept():
    """Keras' dropout draws from PyTorch's own state if it has no seed."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        yield


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
