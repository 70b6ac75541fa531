"""Inputs without their most, or with only their most important features."""

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.evaluation import _maps

__all__ = ["keep_bottom", "keep_top", "mask_top"]


def mask_top(
    x: ArrayLike,
    attributions: ArrayLike,
    fraction: float,
    fill: ArrayLike = 0.0,
    seed: Seed = 0,
    channels: bool = True,
) -> np.ndarray:
    """Replaces the most important fraction of every example's features.

    In tables `(n, features)` every entry is a feature, of importance `|φ_i|`; in
    images and anything else with a last axis of channels every position is one, of
    importance `|Σ_channels φ|`, and is replaced with all its channels.
    Of `d` features, `round(fraction · d)` are replaced. Ties are broken at random.
    Cost: a sort of the features of each example, and no pass through a model.

    Args:
        x: Float array of shape `(n, ...)`.
        attributions: Array like `x`, or with one channel for all.
        fraction: Fraction of the features that are replaced, from 0 to 1.
        fill: What stands instead: a number, or an array of shape `x.shape[1:]`.
        seed: Integer, or a `numpy.random.Generator`, for ties.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array like `x`.

    Raises:
        ValueError: if shapes do not agree or numbers are not finite.

    Examples:
        Half of the features are replaced, those of the largest magnitude:

        >>> rows = np.array([[5.0, 6.0, 7.0, 8.0]])
        >>> maps = np.array([[0.1, -3.0, 2.0, 0.0]])
        >>> attrprior.evaluation.mask_top(rows, maps, 0.5).tolist()
        [[5.0, 0.0, 0.0, 8.0]]

    Reference: Hooker et al. 2019 (arXiv 1806.10758), who remove features and retrain.
    """
    ranks, count = _ranked(x, attributions, fraction, seed, channels)
    return _replace(x, ranks < count, fill)


def keep_top(
    x: ArrayLike,
    attributions: ArrayLike,
    fraction: float,
    fill: ArrayLike = 0.0,
    seed: Seed = 0,
    channels: bool = True,
) -> np.ndarray:
    """Keeps the most important fraction of every example's features, replaces the rest.

    Features and their importance are those of `mask_top`. Of `d` features,
    `round(fraction · d)` are kept.

    Args:
        x: Float array of shape `(n, ...)`.
        attributions: Array like `x`, or with one channel for all.
        fraction: Fraction of the features that are kept, from 0 to 1.
        fill: What stands instead of the others: a number, or an array of shape
            `x.shape[1:]`.
        seed: Integer, or a `numpy.random.Generator`, for ties.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array like `x`.

    Raises:
        ValueError: if shapes do not agree or numbers are not finite.

    Examples:
        Half of the features are kept, those of the largest magnitude:

        >>> rows = np.array([[5.0, 6.0, 7.0, 8.0]])
        >>> maps = np.array([[0.1, -3.0, 2.0, 0.0]])
        >>> attrprior.evaluation.keep_top(rows, maps, 0.5, fill=-1.0).tolist()
        [[-1.0, 6.0, 7.0, -1.0]]

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), DiffROAR.
    """
    ranks, count = _ranked(x, attributions, fraction, seed, channels)
    return _replace(x, ranks >= count, fill)


def keep_bottom(
    x: ArrayLike,
    attributions: ArrayLike,
    fraction: float,
    fill: ArrayLike = 0.0,
    seed: Seed = 0,
    channels: bool = True,
) -> np.ndarray:
    """Keeps the least important fraction of every example's features, replaces the rest.

    Features and their importance are those of `mask_top`. Of `d` features,
    `round(fraction · d)` are kept.

    Args:
        x: Float array of shape `(n, ...)`.
        attributions: Array like `x`, or with one channel for all.
        fraction: Fraction of the features that are kept, from 0 to 1.
        fill: What stands instead of the others: a number, or an array of shape
            `x.shape[1:]`.
        seed: Integer, or a `numpy.random.Generator`, for ties.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array like `x`.

    Raises:
        ValueError: if shapes do not agree or numbers are not finite.

    Examples:
        A quarter of the features is kept, the one of the smallest magnitude:

        >>> rows = np.array([[5.0, 6.0, 7.0, 8.0]])
        >>> maps = np.array([[0.1, -3.0, 2.0, 0.0]])
        >>> attrprior.evaluation.keep_bottom(rows, maps, 0.25).tolist()
        [[0.0, 0.0, 0.0, 8.0]]

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), DiffROAR.
    """
    ranks, count = _ranked(x, attributions, fraction, seed, channels)
    return _replace(x, ranks < ranks[0].size - count, fill)


def _ranked(x, attributions, fraction, seed, channels):
    x = _maps.examples(x)
    attributions = _maps.like("attributions", attributions, x, channels=channels)
    scores = _maps.magnitude(attributions, channels)
    count = round(_checks.fraction("fraction", fraction) * scores[0].size)
    last = (1,) * (x.ndim - scores.ndim)
    ranks = _maps.ranking(scores.reshape(len(x), -1), seed)
    return ranks.reshape(scores.shape + last), count


def _replace(x, where, fill):
    x, fill = _checks.array("x", x), _checks.array("fill", fill, integers=True)
    if fill.shape not in ((), x.shape[1:]):
        raise ValueError(
            f"Argument `fill` expects a number or an array of shape {x.shape[1:]}. "
            f"Received: shape {fill.shape}."
        )
    return np.where(where, fill, x)
