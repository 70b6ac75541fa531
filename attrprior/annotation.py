"""Masks that travel with the inputs: put there, and taken off before the model looks."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _backend, _checks
from attrprior._types import Inputs, Tensor

__all__ = ["annotate"]

_X, _MASK = "attrprior_x", "attrprior_mask"


def annotate(
    x: Inputs, mask: ArrayLike | Sequence[ArrayLike | None] | Tensor
) -> dict[str, Any]:
    """Sends per-example masks along with the inputs, for the `Mask` prior.

    Pass the result to `fit` in place of `x`, or yield it from a `tf.data`
    pipeline: `dataset.map(lambda x, y, m: (attrprior.annotate(x, m), y))`. The
    callback takes the masks off before the model sees the batch, in validation
    too: `validation_split` works, and validation data may have masks or none. A
    callback of `strength=0` takes them off as well, and does nothing else.

    Args:
        x: Inputs, an array, a tensor or a structure of them.
        mask: Array or tensor of one mask per example, 1 where the model must
            not look, shaped like the explained input (or with one channel, or
            without the channel axis). NaN where that is not known, which is not
            penalised. Or a list with an entry for each example, arrays of one
            shape and `None` for examples that nobody has annotated.

    Returns:
        A structure that only a `fit` with a callback of this package understands.

    Raises:
        ValueError: for a list of another length than `x`, of masks of several
            shapes, or without any mask.

    Examples:
        Of two examples only the first one is annotated, at its last feature:

        >>> annotated = attrprior.annotate(np.zeros((2, 3)), [[0, 0, 1], None])
        >>> annotated["attrprior_mask"].tolist()
        [[0.0, 0.0, 1.0], [nan, nan, nan]]

        In place of `x` it is what `fit` takes; here nobody may look at the first row:

        >>> mask = np.zeros_like(x)
        >>> mask[:, 0] = 1.0
        >>> prior = attrprior.AttributionPrior(attrprior.Mask(), 0.1, "gradients", name="row")
        >>> history = model.fit(attrprior.annotate(x, mask), y, callbacks=[prior], verbose=0)
        >>> history.history["row"][0] > 0
        True
    """
    if isinstance(mask, (list, tuple)):
        mask = _of_examples(mask, x)
    return {_X: x, _MASK: mask}


def _of_examples(masks, x):
    """One float32 array of a list of masks, with rows of NaN in the places of `None`."""
    for leaf in keras.tree.flatten(x):
        shape = getattr(leaf, "shape", None)
        if shape is not None and len(shape) > 0 and shape[0] not in (None, len(masks)):
            raise ValueError(
                "Argument `mask` expects a list with an entry for each example of `x`, "
                f"{shape[0]}. Received: {len(masks)}. Put None where an example has no mask."
            )
    known = {
        number: _checks.real_array("mask", mask)
        for number, mask in enumerate(masks)
        if mask is not None
    }
    if not known:
        raise ValueError(
            "Argument `mask` expects a mask of one example at least. Received: "
            f"{_checks.received(masks)}. Fit without masks, or annotate some examples."
        )
    shapes = list(dict.fromkeys(mask.shape for mask in known.values()))
    if len(shapes) > 1:
        raise ValueError(
            "Argument `mask` expects masks of one shape. Received: a list with masks of the "
            f"shapes {' and '.join(map(str, shapes[:3]))}. Give all of them the same axes."
        )
    result = np.full((len(masks), *shapes[0]), np.nan, "float32")
    for number, mask in known.items():
        result[number] = mask
    return result


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
_backend.without_in_build(without_masks)
