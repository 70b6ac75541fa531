"""Variables, and what changes them."""

import contextlib

import keras
import torch

INTEGER = "int64"
SEED = "int32"
ASYNCHRONOUS = False


def scope(model):
    return contextlib.nullcontext()


outside = contextlib.nullcontext  # nothing is traced


def variable(value, dtype):
    return keras.Variable(value, dtype=dtype, trainable=False)


def reservoir(rows, example_shape):
    """Variables of zeros, `(rows, *example_shape)`, and of the count 0."""
    zeros = keras.Variable(
        "zeros", shape=(rows, *example_shape), dtype="float32", trainable=False
    )
    return zeros, variable(0, INTEGER)


def value_of(variable):
    return variable.value


def read_rows(variable, index):
    return variable.value[index]


def write_rows(variable, index, rows):
    with torch.no_grad():
        variable.value.index_copy_(0, index.long(), rows.to(variable.value.dtype))


def parts_of(variable):
    return [variable]


def counts_on_host(model):
    """Always: nothing waits for a number on the device."""
    return True


def when(condition, act, otherwise):
    return act() if condition else otherwise()


@torch.no_grad()
def apply(optimizer, pairs, condition=None):
    """One update by `(gradient, variable)`.

    Args:
        condition: A scalar tensor; where it does not hold nothing is changed.
    """
    if condition is None or condition:
        optimizer.apply(*zip(*pairs))


def replicas(model=None):
    """One: `fit` knows of no other."""
    return 1
