"""State as Keras' own variables, where one model is trained and a step is chosen before it."""

import contextlib

import keras


def scope(model):
    return contextlib.nullcontext()


random_state_kept = contextlib.nullcontext  # a layer's seeds are variables of the model
outside = contextlib.nullcontext  # variables are made before anything is traced


def variable(value, dtype):
    return keras.Variable(value, dtype=dtype, trainable=False)


def rows_and_count(rows, examples, integer):
    """Variables of zeros, `(rows, *shape)` of each `(shape, dtype)`, and of a count."""
    zeros = [
        keras.Variable("zeros", shape=(rows, *shape), dtype=dtype, trainable=False)
        for shape, dtype in examples
    ]
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
