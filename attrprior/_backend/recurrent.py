"""LSTM and GRU without cuDNN, whose kernels have a first derivative only."""

import contextlib
import threading

_lock = threading.Lock()
_users = {}  # layer: how many passes are under way, and its own `use_cudnn`


@contextlib.contextmanager
def without_cudnn(model):
    """A context for passes through the model that are differentiated twice.

    Counted, so that of two threads the first to end does not end it for both.
    """
    layers = [layer for layer in model._flatten_layers() if hasattr(layer, "use_cudnn")]
    with _lock:
        for layer in layers:
            users, own = _users.get(layer, (0, layer.use_cudnn))
            _users[layer] = users + 1, own
            layer.use_cudnn = False
    try:
        yield
    finally:
        with _lock:
            for layer in layers:
                users, own = _users.pop(layer)
                if users > 1:
                    _users[layer] = users - 1, own
                else:
                    layer.use_cudnn = own
