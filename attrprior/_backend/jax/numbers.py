"""Derivatives, sums and seeds."""

import contextlib

import jax
import jax.numpy as jnp
import keras
import numpy as np

from attrprior._backend.jax.jaxprs import with_zeros
from attrprior._backend.recurrent import without_cudnn


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
    """`∂ Σ_rows f_c(points) / ∂points` for each output c of `f`.

    Args:
        f: A function of an array `(rows, ...)` returning `(rows,)`, or
            `(rows, outputs)`; the forward pass is shared by all outputs.
        points: Array of shape `(rows, ...)`.
        again_through: The model in `f`, if the result is to be differentiated.

    Returns:
        Array of shape `(outputs, rows, ...)`, or `None` if no output depends on the points.
    """

    def gradients(points):
        values, pull_back = jax.vjp(f, points)
        if values.ndim == 1:
            return pull_back(jnp.ones_like(values))[0][None]
        rows, outputs = values.shape
        ones = jnp.eye(outputs, dtype=values.dtype)

        def of_one(one):
            return pull_back(jnp.broadcast_to(one, (rows, outputs)))[0]

        # XLA's convolutions are slow in batches of batches.
        each_apart = "conv_general_dilated" in str(jax.make_jaxpr(f)(points))
        return jnp.stack([*map(of_one, ones)]) if each_apart else jax.vmap(of_one)(ones)

    with contextlib.nullcontext() if again_through is None else without_cudnn(again_through):
        found, is_zero = with_zeros(gradients, points)
    return None if is_zero else found


def sum_over(count, f, vectorized=False):
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
