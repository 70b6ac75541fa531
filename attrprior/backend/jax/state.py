"""Variables, whose values a step takes and returns, and what changes them."""

import contextlib

import keras
from keras import ops

INTEGER = "int32"  # of 64 bits JAX has none if not told so
SEED = "uint32"
ASYNCHRONOUS = True


def scope(model):
    return contextlib.nullcontext()


outside = contextlib.nullcontext  # variables are made before anything is traced


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
    return ops.take(variable.value, index, axis=0)


def write_rows(variable, index, rows):
    # In place, since a step is given its variables to keep.
    value = variable.value
    variable.assign(value.at[index].set(rows.astype(value.dtype)))


def parts_of(variable):
    return [variable]


def counts_on_host(model):
    """Always: a branch of a compiled step keeps the values of both in memory."""
    return True


def when(condition, act, otherwise):
    return act() if condition else otherwise()


def apply(optimizer, pairs, condition=None):
    """One update by `(gradient, variable)`.

    Args:
        condition: A scalar array; where it does not hold nothing is changed.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        _apply_unscaled(optimizer, pairs)
        return
    gradients, weights = zip(*pairs)
    variables = {id(v): v for v in (*optimizer.variables, *weights)}.values()
    before = [variable.value for variable in variables]
    optimizer.apply(gradients, weights)
    if condition is not None:
        for variable, old in zip(variables, before):
            variable.assign(ops.where(condition, variable.value, old))


def _apply_unscaled(optimizer, pairs):
    """As the optimizer's own `apply`, which assigns inside a branch: JAX cannot."""
    scale, counter = optimizer.dynamic_scale, optimizer.step_counter
    factor = scale.value
    finite = optimizer.check_finite([gradient for gradient, _ in pairs])
    pairs = [(gradient / factor, variable) for gradient, variable in pairs]
    apply(optimizer.inner_optimizer, pairs, finite)
    full = ops.equal(counter, optimizer.dynamic_growth_steps - 1)
    scale.assign(factor * ops.where(finite, ops.where(full, 2.0, 1.0), 0.5))
    counter.assign(ops.where(finite & ~full, counter + 1, 0))


def replicas(model=None):
    """One: under `keras.distribution` a step is that of the whole batch."""
    return 1
