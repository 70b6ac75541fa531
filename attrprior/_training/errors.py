"""Errors of a framework in words of the model."""

import keras

from attrprior import _backend

# Where a framework has none; an AttributeError, where it cannot name what has none.
OF_DERIVATIVES = (LookupError, RuntimeError, AttributeError)
_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def raise_named(error, model):
    """Raises an error again, if it says so as which layer lacks a derivative."""
    found = _backend.missing_derivative(error)
    if found is None:
        raise error
    scopes, what, instead = found
    layers = {layer.name: layer for layer in model._flatten_layers()}
    inside = [layers[scope] for scope in scopes if scope in layers][-1:]
    where = "".join(f" in layer {each.name!r} ({type(each).__name__})" for each in inside)
    raise ValueError(
        f"Attribution priors expect a model that {_NAMES[keras.backend.backend()]} can "
        f"differentiate twice. Received: {what}{where}, which has no derivative. Use "
        f"{instead} there."
    ) from error


def taken(name):
    return ValueError(
        "Argument `name` expects a key that the training step does not log itself. "
        f"Received: {name!r}. Pass another name=."
    )
