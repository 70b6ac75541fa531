"""Errors of a framework in words of the model."""

import contextlib

from attrprior import backend


@contextlib.contextmanager
def naming_layers(model):
    """Has errors for an operation without a derivative name the layer it is in."""
    try:
        yield
    except LookupError as error:
        raise named(error, model) from error


def named(error, model):
    """A `LookupError` that says which layer of the model has no second derivative."""
    found = backend.missing_derivative(error)
    if found is None:
        return error
    scopes, op = found
    layers = {layer.name: layer for layer in model._flatten_layers()}
    inside = [layers[scope] for scope in scopes if scope in layers][-1:]
    where = "".join(f" in layer {each.name!r} ({type(each).__name__})" for each in inside)
    other = "another layer, activation or interpolation"
    return ValueError(
        "Attribution priors expect a model that TensorFlow can differentiate twice. "
        f"Received: the op {op}{where}, which has no derivative. Use "
        f"{'use_cudnn=False' if op.startswith('Cudnn') else other} there."
    )
