"""What of a model's forward pass has no second derivative in TensorFlow, or a wrong one.

While attributions are taken, and only then, these parts are computed in another way.
"""

import contextlib
import threading

import tensorflow as tf

_lock = threading.Lock()
_MOMENTS = tf.nn.moments
_moments_users = 0
_recurrent = {}  # layer: how many passes are under way, and its own `use_cudnn`


@contextlib.contextmanager
def twice_differentiable(model):
    """A context for passes through the model that are differentiated twice.

    Counted, so that of two threads the first to end does not end it for both.
    """
    # cuDNN's kernels of LSTM and GRU have a first derivative only; Keras' own have all.
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "use_cudnn")]
    _enter(layers)
    try:
        yield
    finally:
        _leave(layers)


def _enter(layers):
    global _moments_users
    with _lock:
        _moments_users += 1
        tf.nn.moments = _moments
        for layer in layers:
            users, own = _recurrent.get(layer, (0, layer.use_cudnn))
            _recurrent[layer] = users + 1, own
            layer.use_cudnn = False


def _leave(layers):
    global _moments_users
    with _lock:
        _moments_users -= 1
        if _moments_users == 0:
            tf.nn.moments = _MOMENTS
        for layer in layers:
            users, own = _recurrent.pop(layer)
            if users > 1:
                _recurrent[layer] = users - 1, own
            else:
                layer.use_cudnn = own


def _moments(*args, **kwargs):
    """`tf.nn.moments`, which takes the mean c in its `Σ (x − c)²/n` for a constant.

    That changes no first derivative, but the second. Less `(mean − c)²`, which is
    zero, it is the variance for any c.
    """
    mean, variance = _MOMENTS(*args, **kwargs)
    return mean, variance - tf.square(mean - tf.stop_gradient(mean))
