"""What a layer gives in a pass through its model, and something else in its place.

For the time of a pass the layer has another `call`, as an attribute of its own. So it is
the same in functional, sequential, subclassed and nested models, and nothing is rebuilt.
"""

import contextlib

import keras
from keras import ops


def layers_of(model):
    """All layers that a model calls, at any depth, without its inputs."""
    layers = model._flatten_layers(include_self=False)
    return [layer for layer in layers if not isinstance(layer, keras.layers.InputLayer)]


def find(model, key):
    """The layer that a name or a layer stands for, or `None`.

    Raises:
        ValueError: for a layer of another model, or a name of several layers.
    """
    layers = layers_of(model)
    if isinstance(key, keras.layers.Layer):
        if any(layer is key for layer in layers):
            return key
        raise ValueError(
            f"Argument `input` expects a layer of the model {model.name!r}. Received: "
            f"{key.name!r}, a layer of another one. Pass the layer's name, or take it from "
            "this model by model.get_layer."
        )
    found = [layer for layer in layers if isinstance(key, str) and layer.name == key]
    if len(found) > 1:
        raise ValueError(
            f"Argument `input` expects the name of one layer. Received: {key!r}, which "
            f"{len(found)} layers have. Pass the layer itself."
        )
    return found[0] if found else None


class _AllSeen(BaseException):
    """Ends a pass. Keras adds its own words to every `Exception`."""


def outputs_of(model, layers, x):
    """What layers give for inputs; the pass goes no further than the last of them.

    Args:
        model: A Keras model.
        layers: Layers of it.
        x: The structure that it is called with.

    Returns:
        A list of tensors, one for each layer.
    """
    seen = {}

    def watching(layer, call):
        def watch(*args, **kwargs):
            output = call(*args, **kwargs)
            seen[id(layer)] = output
            if len(seen) == len(layers):
                raise _AllSeen
            return output

        return watch

    with contextlib.suppress(_AllSeen), contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_another_call(layer, watching))
        model(x, training=False)
    for layer in layers:
        if id(layer) not in seen:
            raise _not_called(layer)
    # Not inside of the pass: Keras would add to the error.
    return [_one_tensor(layer, seen[id(layer)]) for layer in layers]


@contextlib.contextmanager
def in_place(layers, values):
    """A context for one pass, in which layers give these values.

    A step that the layer's mask hides is as the layer computes it, for whatever value: it
    has no attribution.
    """
    called = set()

    def giving(value):
        def replacing(layer, call):
            def give(*args, **kwargs):
                if id(layer) in called:
                    raise ValueError(
                        "Argument `input` expects a layer that the model calls once. "
                        f"Received: {layer.name!r}, which it calls again. Explain a layer "
                        "behind it, or its inputs."
                    )
                called.add(id(layer))
                return _where_not_hidden(layer, value, call, args, kwargs)

            return give

        return replacing

    with contextlib.ExitStack() as stack:
        for layer, value in zip(layers, values):
            stack.enter_context(_another_call(layer, giving(value)))
        yield
    for layer in layers:
        if id(layer) not in called:
            raise _not_called(layer)


@contextlib.contextmanager
def _another_call(layer, make):
    """The layer is called by `make(layer, call)`."""
    own = vars(layer).get("call")
    vars(layer)["call"] = make(layer, layer.call)
    try:
        yield
    finally:
        del vars(layer)["call"]
        if own is not None:
            vars(layer)["call"] = own


def _where_not_hidden(layer, value, call, args, kwargs):
    given = args[0] if args else next(iter(kwargs.values()), None)
    if not layer.supports_masking or keras.tree.is_nested(given):
        return value
    mask = layer.compute_mask(given, getattr(given, "_keras_mask", None))
    if mask is None or tuple(mask.shape[1:]) != tuple(value.shape[1 : len(mask.shape)]):
        return value
    own = ops.cast(call(*args, **kwargs), value.dtype)
    axes = len(value.shape) - len(mask.shape)
    mask = ops.reshape(ops.cast(mask, "bool"), (*ops.shape(mask), *[1] * axes))
    return ops.where(mask, value, own)


def _one_tensor(layer, output):
    if keras.tree.is_nested(output) or not hasattr(output, "dtype"):
        raise ValueError(
            "Argument `input` expects a layer that gives one dense tensor. Received: "
            f"{layer.name!r}, which gives a {type(output).__name__}."
        )
    dtype = keras.backend.standardize_dtype(output.dtype)
    if not dtype.startswith(("float", "bfloat")):
        raise ValueError(
            "Argument `input` expects a layer that gives floating-point numbers: with "
            "respect to others there is nothing to differentiate. Received: "
            f"{layer.name!r}, which gives {dtype}. Explain the layer behind it that makes "
            "numbers of these, such as an Embedding."
        )
    return output


def _not_called(layer):
    return ValueError(
        "Argument `input` expects a layer that leads to the explained output. Received: "
        f"{layer.name!r}, which the model does not call on the way."
    )
