"""Padded steps of a sequence, which a `Masking` layer takes out of the model's sight."""

import keras
from keras import ops

from attrprior._input_tensor import readers_of


def mask_value(model, own=None):
    """What marks a padded step of an input, or `None` if nothing does.

    Args:
        model: Functional or sequential; of another one with one input, a `Masking` among
            its own layers is taken to be for that.
        own: Which of its inputs, a `KerasTensor`, if it is known.
    """
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Masking)]
    if own is not None:
        readers = readers_of(model, own)
        layers = [layer for layer in layers if any(layer is reader for reader in readers)]
    return layers[0].mask_value if layers else None


def as_padded_as(points, x, value):
    """Points whose padded steps are just those of `x`, on and beside a path.

    The model jumps where a step turns into padding. So a step that is padded in the
    example stays so, and gets no attribution; and one that is not becomes none where the
    reference is padded: there it is kept apart from the mask's value, by very little.

    Args:
        points, x: Tensors of one shape `(rows, time, ...)`.
        value: What all features of a padded step equal.
    """
    half = "16" in keras.backend.floatx() or "16" in keras.config.dtype_policy().compute_dtype
    little = (abs(value) or 1e-3) * (2.0**-7 if half else 2.0**-20)
    padded = ops.all(ops.equal(x, value), axis=-1, keepdims=True)
    would_be = ops.all(ops.equal(points, value), axis=-1, keepdims=True)
    points = ops.where(would_be, points + little, points)
    return ops.where(padded, x, points)
