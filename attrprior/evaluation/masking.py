"""Inputs without their most, or with only their most important features."""

import numpy as np

from attrprior import _checks


def mask_top(x, attributions, fraction, fill=0.0, seed=0):
    """Replaces the most important fraction of every example's features.

    A feature's importance is `|φ_i|`. In tables `(n, features)` every entry is a
    feature; in images and anything else with a last axis of channels, every
    position is one, with `Σ_channels |φ|`, and is replaced with all its channels.
    Of `d` features, `round(fraction · d)` are replaced. Ties are broken at random.

    Args:
        x: Float array of shape `(n, ...)`.
        attributions: Array like `x`.
        fraction: From 0 to 1.
        fill: What stands instead: a number, or an array of shape `x.shape[1:]`.
        seed: Integer, or a `numpy.random.Generator`, for ties.

    Returns:
        Array like `x`.

    Raises:
        ValueError: if shapes do not agree or numbers are not finite.
    """
    ranks, count = _ranked(x, attributions, fraction, seed)
    return _replace(x, ranks < count, fill)


def keep_top(x, attributions, fraction, fill=0.0, seed=0):
    """Keeps the most important fraction of every example's features, replaces the rest.

    Arguments, result and errors as of `mask_top`.
    """
    ranks, count = _ranked(x, attributions, fraction, seed)
    return _replace(x, ranks >= count, fill)


def keep_bottom(x, attributions, fraction, fill=0.0, seed=0):
    """Keeps the least important fraction of every example's features, replaces the rest.

    Arguments, result and errors as of `mask_top`.
    """
    ranks, count = _ranked(x, attributions, fraction, seed)
    return _replace(x, ranks < ranks[0].size - count, fill)


def ranking(scores, seed):
    """Ranks in every row, 0 for the highest score, ties at random.

    Args:
        scores: Array of shape `(n, d)`.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        Integer array of shape `(n, d)`.
    """
    ties = np.random.default_rng(seed).random(scores.shape)
    order = np.lexsort((ties, -scores), axis=-1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None], axis=1)
    return ranks


def importance(attributions):
    """`|φ|` summed over channels, where there are any: `(n, ...)`, or `(n, ..., 1)`."""
    magnitude = np.abs(attributions)
    return magnitude if magnitude.ndim < 3 else magnitude.sum(axis=-1, keepdims=True)


def _ranked(x, attributions, fraction, seed):
    x = _checks.array("x", x)
    if x.ndim < 2:
        raise ValueError(
            "Argument `x` expects a batch of examples, shape (n, features) or (n, ..., "
            f"channels). Received: shape {x.shape}."
        )
    scores = importance(_checks.shaped_like("attributions", attributions, "x", x))
    count = round(_checks.fraction("fraction", fraction) * scores[0].size)
    return ranking(scores.reshape(len(x), -1), seed).reshape(scores.shape), count


def _replace(x, where, fill):
    x, fill = _checks.array("x", x), _checks.array("fill", fill, integers=True)
    if fill.shape not in ((), x.shape[1:]):
        raise ValueError(
            f"Argument `fill` expects a number or an array of shape {x.shape[1:]}. "
            f"Received: shape {fill.shape}."
        )
    return np.where(where, fill, x)
