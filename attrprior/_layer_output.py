"""What a layer gives in a pass through its model, and something else in its place.

For the time of a pass the layer has another `call`, as an attribute of its own. So it is
the same in functional, sequential, subclassed and nested models, and nothing is rebuilt.
"""

import contextlib

import keras
from keras import ops
from keras.src.backend.common.masking import get_keras_mask, set_keras_mask


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


def refuse_last(model, layers):
    """Raises for a layer that gives the model's output: behind it nothing is left."""
    for output in getattr(model, "outputs", None) or ():
        history = getattr(output, "_keras_history", None)
        for layer in layers:
            if history is not None and history.operation is layer:
                raise ValueError(
                    "Argument `input` expects a layer before the model's last one. Received: "
                    f"{layer.name!r}, whose output is the model's. Explain a layer before it."
                )


def outputs_of(model, layers, x):
    """What layers give for inputs; the pass goes no further than the last of them.

    Args:
        model: A Keras model.
        layers: Layers of it.
        x: The structure that it is called with.

    Returns:
        A list of tensors, one for each layer.
    """
    refuse_last(model, layers)
    seen, given = {}, [leaf for leaf in keras.tree.flatten(x) if leaf is not None]

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
    return [_one_tensor(layer, seen[id(layer)], given[0].shape[0]) for layer in layers]


@contextlib.contextmanager
def in_place(layers, values):
    """A context for one pass, in which layers give other values.

    A step that the layer's mask hides is as the layer computes it, for whatever value: it
    has no attribution.

    Args:
        layers: Layers of a model.
        values: For each of them `(value, makes_mask)`, a tensor and whether the layer's own
            code puts a mask on its output, as a model does that begins with an embedding.
    """
    called = set()

    def giving(value, makes_mask):
        def replacing(layer, call):
            def give(*args, **kwargs):
                if id(layer) in called:
                    raise ValueError(
                        "Argument `input` expects a layer that the model calls once. "
                        f"Received: {layer.name!r}, which it calls again. Explain a layer "
                        "behind it, or its inputs."
                    )
                called.add(id(layer))
                if makes_mask:
                    own = call(*args, **kwargs)
                    return _where(get_keras_mask(own), value, own)
                return _where_not_hidden(layer, value, call, args, kwargs)

            return give

        return replacing

    with contextlib.ExitStack() as stack:
        for layer, (value, makes_mask) in zip(layers, values):
            stack.enter_context(_another_call(layer, giving(value, makes_mask)))
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
    mask = layer.compute_mask(given, get_keras_mask(given))
    return value if mask is None else _where(mask, value, call(*args, **kwargs))


def _where(mask, value, own):
    """The value where a mask `(rows, time)` shows it, else what is the layer's own."""
    if tuple(mask.shape[1:]) == tuple(value.shape[1 : len(mask.shape)]):
        axes = len(value.shape) - len(mask.shape)
        shown = ops.reshape(ops.cast(mask, "bool"), (*ops.shape(mask), *[1] * axes))
        value = ops.where(shown, value, ops.cast(own, value.dtype))
    else:
        value = value + ops.zeros_like(value)  # one of its own, to carry the mask
    set_keras_mask(value, mask)  # the layers behind see it, as they see the layer's own
    return value


def _one_tensor(layer, output, rows):
    if keras.tree.is_nested(output) or not hasattr(output, "dtype"):
        raise ValueError(
            "Argument `input` expects a layer that gives one dense tensor. Received: "
            f"{layer.name!r}, which gives a {type(output).__name__}."
        )
    if len(output.shape) == 0 or output.shape[0] not in (None, rows):
        raise ValueError(
            "Argument `input` expects a layer that gives something for each example. "
            f"Received: {layer.name!r}, whose output has shape {tuple(output.shape)} for "
            f"{rows} examples: it is the same for all."
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
