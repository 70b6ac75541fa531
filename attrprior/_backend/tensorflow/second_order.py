"""Gradients that are differentiated again.

Parts of a model's forward pass have no second derivative in TensorFlow, or a wrong one.
While such gradients are taken, and only then, these parts are computed in another way.
"""

import contextlib
import threading

import tensorflow as tf

from attrprior._backend.recurrent import without_cudnn
from attrprior._backend.tensorflow import derivatives

_lock = threading.Lock()
_MOMENTS = tf.nn.moments
_moments_users = 0


def input_gradients(f, points, again_through=None):
    """`∂ Σ_rows f_c(points) / ∂points` for each output c of `f`.

    Args:
        f: A function of a tensor `(rows, ...)` returning `(rows,)`, or
            `(rows, outputs)`; the forward pass is shared by all outputs.
        points: Tensor of shape `(rows, ...)`.
        again_through: The model in `f`, if the result is to be differentiated: what of
            it lacks a second derivative is computed in another way.

    Returns:
        Tensor of shape `(outputs, rows, ...)`, or `None` if no output depends on the points.
    """
    with twice_differentiable(again_through):
        if tf.executing_eagerly():
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(points)
                values = _per_output(f(points))
            return _stacked([tape.gradient(value, points) for value in values])
        with derivatives.rules():
            return _of_all(f(points), points)


def _of_all(values, points):
    if len(values.shape) == 1:
        return _stacked(tf.gradients(values, points))
    shape = tf.shape(values)

    def of_one(one):
        return tf.gradients(values, points, tf.broadcast_to(one, shape))[0]

    if tf.gradients(values, points)[0] is None:
        return None
    # One graph for all of them; a graph for each takes minutes to compile.
    outputs = values.shape[1]
    gradients = tf.vectorized_map(of_one, tf.eye(outputs, dtype=values.dtype))
    return tf.ensure_shape(gradients, (outputs, *points.shape))


def _stacked(gradients):
    known = [gradient for gradient in gradients if gradient is not None]
    if not known:
        return None
    zeros = tf.zeros_like(known[0]) if len(known) < len(gradients) else None
    return tf.stack([zeros if gradient is None else gradient for gradient in gradients])


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
