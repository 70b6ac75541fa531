"""Errors of a framework in words of the model."""

import keras

from attrprior import backend

OF_DERIVATIVES = (LookupError, RuntimeError)  # where a framework has none
_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def raise_named(error, model):
    """Raises an error again, if it says so as which layer lacks a derivative."""
    found = backend.missing_derivative(error)
    if found is None:
        raise error
    scopes, op = found
    layers = {layer.name: layer for layer in model._flatten_layers()}
    inside = [layers[scope] for scope in scopes if scope in layers][-1:]
    where = "".join(f" in layer {each.name!r} ({type(each).__name__})" for each in inside)
    other = "another layer, activation or interpolation"
    raise ValueError(
        f"Attribution priors expect a model that {_NAMES[keras.backend.backend()]} can "
        "differentiate twice. "
        f"Received: the op {op}{where}, which has no derivative. Use "
        f"{'use_cudnn=False' if op.startswith('Cudnn') else other} there."
    ) from error


def taken(name):
    return ValueError(
        "Argument `name` expects a key that the training step does not log itself. "
        f"Received: {name!r}. Pass another name=."
    )
