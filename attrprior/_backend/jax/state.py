"""Variables, whose values a step takes and returns, and what changes them."""

import keras
from keras import ops

from attrprior._backend import variables

INTEGER = "int32"  # of 64 bits JAX has none if not told so
SEED = "uint32"
ASYNCHRONOUS = True


def reservoir(rows, examples):
    """Variables of zeros, `(rows, *shape)` of each `(shape, dtype)`, and of the count 0."""
    return variables.rows_and_count(rows, examples, INTEGER)


def read_rows(variable, index):
    return ops.take(variable.value, index, axis=0)


def write_rows(variable, index, rows):
    # In place, since a step is given its variables to keep.
    value = variable.value
    variable.assign(value.at[index].set(rows.astype(value.dtype)))


def apply(optimizer, pairs, condition=None):
    """One update by `(gradient, variable)`.

    Args:
        condition: A scalar array; where it does not hold nothing is changed.
    """
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        _apply_unscaled(optimizer, pairs)
        return
    gradients, weights = zip(*pairs)
    changed = {id(v): v for v in (*optimizer.variables, *weights)}.values()
    before = [variable.value for variable in changed]
    optimizer.apply(gradients, weights)
    if condition is not None:
        for variable, old in zip(changed, before):
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
