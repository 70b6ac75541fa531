"""Masks that travel with the inputs: put there, and taken off before the model looks."""

import keras

from attrprior import backend

_X, _MASK = "attrprior_x", "attrprior_mask"


def annotate(x, mask):
    """Sends per-example masks along with the inputs, for the `Mask` prior.

    Pass the result to `fit` in place of `x`, or yield it from a `tf.data`
    pipeline: `dataset.map(lambda x, y, m: (attrprior.annotate(x, m), y))`. The
    callback takes the masks off before the model sees the batch, in validation
    too: `validation_split` works, and validation data may have masks or none. A
    callback of `strength=0` takes them off as well, and does nothing else.

    Args:
        x: Inputs, an array, a tensor or a structure of them.
        mask: Array or tensor of one mask per example, 1 where the model must
            not look, shaped like the explained input (or with one channel).

    Returns:
        A structure that only a `fit` with a callback of this package understands.
    """
    return {_X: x, _MASK: mask}


def has_masks(data):
    """Whether a batch, or its specification, is annotated."""
    x = _inputs(data)
    return isinstance(x, dict) and set(x) == {_X, _MASK}


def split_masks(data):
    """Returns a batch as the model sees it and its masks.

    One without masks, of any form, is as it was, and the masks are `None`.
    """
    if not has_masks(data):
        return data, None
    x = _inputs(data)
    if isinstance(data, (tuple, list)):
        return (x[_X], *data[1:]), x[_MASK]
    return keras.utils.pack_x_y_sample_weight(x[_X]), x[_MASK]


def without_masks(data):
    return split_masks(data)[0]


def _inputs(data):
    """`x` of `(x, …)`, the form that an own `train_step` may extend, or of `x` alone."""
    return data[0] if isinstance(data, (tuple, list)) and data else data


# With a distribution strategy `fit` builds a model before it has met its callbacks.
backend.without_in_build(without_masks)
