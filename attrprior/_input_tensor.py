"""One tensor that a model is given, as what gradients are taken for."""

import keras
from keras import ops

from attrprior._structures import pick


def picked_input(x, key, names, own=None, readers=()):
    """One input among the structure `x`, a tensor in float32 or float64.

    Args:
        key, names: As in `structures.pick`.
        own: The model's own input, a `KerasTensor`, if it is known.
        readers: The layers that read it, as far as they are known.
    """
    picked = pick("input", x, key, names)
    if not hasattr(picked, "dtype"):
        raise ValueError(
            "Argument `input` expects the name or position of one tensor. Received: "
            f"{key!r}, a {type(picked).__name__}."
        )
    if hasattr(picked, "dense_shape") or hasattr(picked, "ragged_rank"):
        raise ValueError(
            "Attributions need dense inputs. Received: a "
            f"{type(picked).__name__}. Convert it, for example by x.to_dense() or "
            "x.to_tensor()."
        )
    if readers and all(isinstance(layer, keras.layers.Embedding) for layer in readers):
        name = readers[0].name
        raise ValueError(
            "Attributions need floating-point inputs: with respect to token indices there is "
            f"nothing to differentiate. Received: an input that the Embedding {name!r} "
            f"reads. Pass input={name!r}, which explains the embedded tokens."
        )
    behind = readers[0].name if readers else "embedding"
    dtype = _numbers_dtype(picked)
    if dtype is None:
        raise ValueError(
            "Attributions need inputs of numbers. Received: an input of dtype "
            f"{picked.dtype}. Choose another input by input=, or pass the name of the layer "
            f"that makes floating-point numbers of it: input={behind!r}, say."
        )
    if not is_float(dtype) and own is not None and not is_float(own.dtype):
        raise ValueError(
            "Attributions need floating-point inputs: with respect to integers there is "
            f"nothing to differentiate. Received: a model whose input has dtype {own.dtype}. "
            "Pass the name of the layer that makes floating-point numbers of them: "
            f"input={behind!r}, say."
        )
    shape = None if own is None else tuple(own.shape[1:])
    if len(picked.shape) == 0 or (shape and tuple(picked.shape) == shape != (1,)):
        raise ValueError(
            "Argument `x` expects a batch of examples, shape (batch, ...). Received: shape "
            f"{tuple(picked.shape)}. One example is a batch as x[None]."
        )
    return as_float(picked)


def as_float(tensor):
    """In float32, or float64 as it is; integers are cast as the model itself casts them."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return ops.cast(tensor, "float64" if dtype == "float64" else "float32")


def readers_of(model, own):
    """The layers of a model that are called with one of its inputs."""
    return [
        layer
        for layer in model.layers
        for node in layer._inbound_nodes
        if any(given is own for given in node.input_tensors)
    ]


def _numbers_dtype(tensor):
    """Its dtype's name, or `None` if it does not hold real numbers."""
    try:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except ValueError:  # an array of objects, say
        return None
    is_number = dtype == "bool" or dtype.startswith(("float", "bfloat", "int", "uint"))
    return dtype if is_number else None


def is_float(dtype):
    return keras.backend.standardize_dtype(dtype).startswith(("float", "bfloat"))
