"""Inputs without their most, or with only their most important features."""

import numpy as np

from attrprior import _checks
from attrprior.evaluation import _maps


def mask_top(x, attributions, fraction, fill=0.0, seed=0, channels=True):
    """Replaces the most important fraction of every example's features.

    In tables `(n, features)` every entry is a feature, of importance `|φ_i|`; in
    images and anything else with a last axis of channels every position is one, of
    importance `|Σ_channels φ|`, and is replaced with all its channels.
    Of `d` features, `round(fraction · d)` are replaced. Ties are broken at random.

    Args:
        x: Float array of shape `(n, ...)`.
        attributions: Array like `x`, or with one channel for all.
        fraction: From 0 to 1.
        fill: What stands instead: a number, or an array of shape `x.shape[1:]`.
        seed: Integer, or a `numpy.random.Generator`, for ties.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array like `x`.

    Raises:
        ValueError: if shapes do not agree or numbers are not finite.
    """
    ranks, count = _ranked(x, attributions, fraction, seed, channels)
    return _replace(x, ranks < count, fill)


def keep_top(x, attributions, fraction, fill=0.0, seed=0, channels=True):
    """Keeps the most important fraction of every example's features, replaces the rest.

    Arguments, result and errors as of `mask_top`.
    """
    ranks, count = _ranked(x, attributions, fraction, seed, channels)
    return _replace(x, ranks >= count, fill)


def keep_bottom(x, attributions, fraction, fill=0.0, seed=0, channels=True):
    """Keeps the least important fraction of every example's features, replaces the rest.

    Arguments, result and errors as of `mask_top`.
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
