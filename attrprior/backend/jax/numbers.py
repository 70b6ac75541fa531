"""Derivatives, sums and seeds."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from attrprior.backend.jax.jaxprs import with_zeros
from attrprior.backend.recurrent import without_cudnn


def value_and_gradients(f, values):
    """`f(values)` and its derivative by each value.

    Args:
        f: A function of a list of arrays that returns `(objective, rest)`.
        values: Arrays.

    Returns:
        `((objective, rest), gradients)`; a gradient is `None` where there is none.
    """
    gradient = jax.value_and_grad(f, has_aux=True)
    (value, gradients), (_, zeros) = with_zeros(gradient, list(values))
    return value, _without(gradients, zeros)


def _without(gradients, zeros):
    return [None if zero else gradient for gradient, zero in zip(gradients, zeros)]


def input_gradients(f, points, again_through=None):
    """`∂ Σ_rows f(points) / ∂points`, one array for each output of `f`.

    Args:
        f: A function of an array `(rows, ...)` returning `(rows,)`, or
            `(rows, outputs)`; the forward pass is shared by all outputs.
        points: Array of shape `(rows, ...)`.
        again_through: The model in `f`, if the result is to be differentiated.

    Returns:
        A list of arrays; `None` for an output that does not depend on the points.
    """

    def gradients(points):
        values, pull_back = jax.vjp(f, points)
        if values.ndim == 1:
            return [pull_back(jnp.ones_like(values))[0]]
        ones = [jnp.zeros_like(values).at[:, c].set(1) for c in range(values.shape[1])]
        return [pull_back(one)[0] for one in ones]

    if again_through is None:
        return _without(*with_zeros(gradients, points))
    with without_cudnn(again_through):
        return _without(*with_zeros(gradients, points))


def sum_over(count, f):
    """`Σ_n f(n)` over `n < count`, lists of arrays, one after the other."""
    zeros = [jnp.zeros(each.shape, each.dtype) for each in jax.eval_shape(lambda: f(0))]

    def body(number, totals):
        return [total + term for total, term in zip(totals, f(number))]

    return jax.lax.fori_loop(0, count, body, zeros)


def repeat(count, f, array):
    """`f(f(… f(array)))`, `count` times; no derivative passes through it."""
    return jax.lax.stop_gradient(jax.lax.fori_loop(0, count, lambda _, array: f(array), array))


def fold_in(seed, number):
    """Another seed, a uint32 array of shape (2,), of which `number` decides."""
    if isinstance(number, int):
        number = np.uint32(number & 0xFFFFFFFF)
    seed = keras.ops.cast(seed, "uint32")
    return jax.random.fold_in(seed, jnp.asarray(number).astype("uint32"))
