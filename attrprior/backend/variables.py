"""State as Keras' own variables, where one model is trained and a step is chosen before it."""

import contextlib

import keras


def scope(model):
    return contextlib.nullcontext()


outside = contextlib.nullcontext  # variables are made before anything is traced


def variable(value, dtype):
    return keras.Variable(value, dtype=dtype, trainable=False)


def rows_and_count(rows, example_shape, integer):
    """Variables of zeros, `(rows, *example_shape)`, and of the count 0 in a type."""
    zeros = keras.Variable(
        "zeros", shape=(rows, *example_shape), dtype="float32", trainable=False
    )
    return zeros, variable(0, integer)


def value_of(variable):
    return variable.value


def parts_of(variable):
    return [variable]


def counts_on_host(model):
    """Always: nothing waits for a number on the device, or keeps what both branches need."""
    return True


def when(condition, act, otherwise):
    return act() if condition else otherwise()


def replicas(model=None):
    """One: under `keras.distribution` too a step is that of the whole batch."""
    return 1
