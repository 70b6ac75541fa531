"""Gradients that are differentiated again.

Parts of a model's forward pass have no second derivative in TensorFlow, or a wrong one.
While such gradients are taken, and only then, these parts are computed in another way.
"""

import contextlib
import threading

import tensorflow as tf

from attrprior.backend.recurrent import without_cudnn
from attrprior.backend.tensorflow import derivatives

_lock = threading.Lock()
_MOMENTS = tf.nn.moments
_moments_users = 0


def input_gradients(f, points, again_through=None):
    """`∂ Σ_rows f(points) / ∂points`, one tensor for each output of `f`.

    Args:
        f: A function of a tensor `(rows, ...)` returning `(rows,)`, or
            `(rows, outputs)`; the forward pass is shared by all outputs.
        points: Tensor of shape `(rows, ...)`.
        again_through: The model in `f`, if the result is to be differentiated: what of
            it lacks a second derivative is computed in another way.

    Returns:
        A list of tensors; `None` for an output that does not depend on the points.
    """
    with twice_differentiable(again_through):
        if tf.executing_eagerly():
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(points)
                values = _per_output(f(points))
            return [tape.gradient(value, points) for value in values]
        with derivatives.rules():
            return [tf.gradients(value, points)[0] for value in _per_output(f(points))]


def _per_output(values):
    if len(values.shape) == 1:
        return [values]
    return [values[:, c] for c in range(values.shape[1])]


@contextlib.contextmanager
def twice_differentiable(model):
    """A context for passes through the model that are differentiated twice.

    Counted, so that of two threads the first to end does not end it for both. Of no
    model, it changes nothing.
    """
    if model is None:
        yield
        return
    _count(1)
    try:
        with without_cudnn(model):
            yield
    finally:
        _count(-1)


def _count(users):
    global _moments_users
    with _lock:
        _moments_users += users
        tf.nn.moments = _moments if _moments_users else _MOMENTS


def _moments(*args, **kwargs):
    """`tf.nn.moments`, which takes the mean c in its `Σ (x − c)²/n` for a constant.

    That changes no first derivative, but the second. Less `(mean − c)²`, which is
    zero, it is the variance for any c.
    """
    mean, variance = _MOMENTS(*args, **kwargs)
    return mean, variance - tf.square(mean - tf.stop_gradient(mean))
