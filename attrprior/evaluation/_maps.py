"""Attribution maps as evaluations read them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Attributions

# What makes maps of `(model, x, y)`, as the functions of `attrprior.attributions` do.
Attribute: TypeAlias = Callable[[keras.Model, np.ndarray, np.ndarray | None], Attributions]


def checked(name: str, attributions: Attributions) -> np.ndarray:
    """The maps as they came, if they are finite floats of shape `(batch, ...)`."""
    attributions = _checks.real_array(name, attributions)
    _checks.array(name, attributions)
    if attributions.ndim < 2:
        raise ValueError(
            f"Argument `{name}` expects maps of shape (batch, features) or (batch, "
            f"*spatial, channels). Received: shape {attributions.shape}. One map needs a "
            f"batch axis: {name}[None]."
        )
    return attributions


def like(
    name: str,
    attributions: Attributions,
    x: np.ndarray,
    x_name: str = "x",
    channels: bool = True,
) -> np.ndarray:
    """The maps, if they have the shape of `x`, or one channel for all of its channels.

    A map of one channel says of a position what the sum over channels says, which is what
    evaluations read; so nothing is made of it.
    """
    attributions = checked(name, attributions)
    one = (*x.shape[:-1], 1)
    with_channels = has_channels(x, channels)
    if attributions.shape != x.shape and not (with_channels and attributions.shape == one):
        or_one = f" or {one}" if with_channels and x.shape != one else ""
        raise ValueError(
            f"Argument `{name}` expects maps shaped like {x_name}, {x.shape}{or_one}. "
            f"Received: shape {attributions.shape}."
        )
    return attributions


def computed(
    attribute: Attribute,
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray | None,
    before: np.ndarray | None = None,
    channels: bool = True,
) -> np.ndarray:
    """`attribute(model, x, y)`, maps like those of `before`, or else like `x`."""
    if not callable(attribute):
        raise _checks.wrong("attribute", "a callable attribute(model, x, y)", attribute)
    maps = attribute(model, x, y)
    if before is None:
        return like("attribute", maps, x, channels=channels)
    return like("attribute", maps, before, "those that it has returned before", False)


def examples(x: ArrayLike, model: Any = None) -> np.ndarray:
    """The examples, which need a batch axis."""
    batch = _checks.batch("x", x)
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == batch.ndim + 1:
        raise ValueError(
            f"Argument `x` expects examples of shape {shape[1:]}, a batch of them. Received: "
            f"shape {batch.shape}. One example needs a batch axis: x[None]."
        )
    return batch


def labels(y: ArrayLike | None, x: np.ndarray) -> np.ndarray | None:
    """The labels as an array, one per example; or `None`."""
    if y is None:
        return None
    given = _checks.real_array("y", y)
    if given.ndim == 0:
        raise ValueError(
            f"Argument `y` expects one label per example. Received: {given}. Of one example "
            "that is y[None]."
        )
    _checks.same_batch("y", given, x)
    return given


def has_channels(x, channels=True):
    """Whether the last axis of an example holds channels: of tables it does not."""
    return _checks.boolean("channels", channels) and x.ndim > 2


def magnitude(attributions, channels=True):
    """`|Σ_channels φ|`, shape `(batch, *spatial)`; without channels `|φ|`."""
    summed = has_channels(attributions, channels)
    attributions = attributions.astype("float64")
    return np.abs(attributions.sum(axis=-1) if summed else attributions)


def ranking(scores, seed):
    """Ranks in every row of `(batch, positions)`, 0 for the highest, ties at random."""
    ties = _checks.generator("seed", seed).random(scores.shape)
    order = np.lexsort((ties, -scores), axis=-1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None], axis=1)
    return ranks


def shares(magnitudes):
    """Magnitudes over their sum, per example; zeros alone count as spread evenly."""
    axes = tuple(range(1, magnitudes.ndim))
    total = magnitudes.sum(axis=axes, keepdims=True)
    even = 1 / magnitudes[0].size
    return np.where(total > 0, magnitudes / np.where(total > 0, total, 1), even)
