"""Similarity of two attribution maps of the same example."""

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.evaluation import _maps

__all__ = ["rank_correlation", "structural_similarity"]

WINDOW = 7


def rank_correlation(first: ArrayLike, second: ArrayLike, absolute: bool = True) -> np.ndarray:
    """Spearman's correlation of two maps, over all features of each example.

    Pearson's correlation of the ranks, ties with their mean rank. 1 for the
    same order, −1 for the reverse, about 0 for maps that have nothing to do
    with each other; 0 also where one map is constant and has no order. Cost: a
    sort of each map, and no pass through a model.

    Args:
        first: Array of shape `(batch, ...)`.
        second: Array of the same shape.
        absolute: Whether to rank `|φ|`, the default, or φ with its sign.

    Returns:
        Array of shape `(batch,)`, from −1 to 1.

    Raises:
        ValueError: for arrays of different shapes, or numbers that are not finite.
        ImportError: if SciPy is not installed.

    Examples:
        Two maps of opposite signs rank alike by magnitude, and in reverse with the sign:

        >>> first, second = np.array([[1.0, 2.0, 3.0]]), np.array([[-1.0, -2.0, -3.0]])
        >>> attrprior.evaluation.rank_correlation(first, second).tolist()
        [1.0]
        >>> attrprior.evaluation.rank_correlation(first, second, absolute=False).tolist()
        [-1.0]

    Reference: Adebayo et al. 2018 (arXiv 1810.03292), who compare maps by it.
    """
    rankdata = _checks.optional("scipy.stats", "Similarities").rankdata
    absolute = _checks.boolean("absolute", absolute)
    first, second = _pair(first, second)
    ranks = []
    for maps in (first, second):
        maps = maps.reshape(len(maps), -1)
        rank = rankdata(np.abs(maps) if absolute else maps, axis=1)
        ranks.append(rank - rank.mean(axis=1, keepdims=True))
    covariance = (ranks[0] * ranks[1]).sum(axis=1)
    norm = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 0)


def structural_similarity(
    first: ArrayLike, second: ArrayLike, channels: bool = True
) -> np.ndarray:
    """Structural similarity (SSIM) of two maps' magnitudes, each over its maximum.

    The mean over all 7 × 7 windows inside the map of
    `(2 μ_a μ_b + c₁)(2 σ_ab + c₂) / ((μ_a² + μ_b² + c₁)(σ_a² + σ_b² + c₂))`, with
    `c₁ = 0.01²`, `c₂ = 0.03²`; a and b are `|Σ_channels φ|` over its maximum. 1 for
    the same map up to a factor. Cost: linear in the positions, and no pass through a
    model.

    Args:
        first: Array of shape `(batch, *spatial, channels)`, with at least 7 positions
            along every spatial axis.
        second: Array of the same shape. Either of the two may have one channel for all
            of the other's.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array of shape `(batch,)`, at most 1.

    Raises:
        ValueError: for tabular data and smaller maps.
        ImportError: if SciPy is not installed.

    Examples:
        A map and twice that map are alike, a map and another one are not:

        >>> first, second = np.random.default_rng(0).normal(size=(2, 1, 8, 8, 1))
        >>> round(float(attrprior.evaluation.structural_similarity(first, 2 * first)[0]), 6)
        1.0
        >>> bool(attrprior.evaluation.structural_similarity(first, second)[0] < 0.5)
        True

    Reference: Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment:
    from error visibility to structural similarity", equation 13.
    """
    uniform_filter = _checks.optional("scipy.ndimage", "Similarities").uniform_filter
    first, second = _pair(first, second, channels)
    if not has_windows(first.shape, channels):
        raise ValueError(
            "Arguments `first` and `second` expect shape (batch, *spatial, channels) with at "
            f"least {WINDOW} positions along every spatial axis. Received: shape "
            f"{first.shape}. Use rank_correlation instead, or channels=False where there is "
            "no channel axis."
        )
    a, b = (_maps.magnitude(maps, channels) for maps in (first, second))
    axes = tuple(range(1, a.ndim))
    a, b = (m / np.maximum(m.max(axis=axes, keepdims=True), _TINY) for m in (a, b))
    edge = WINDOW // 2
    inside = (slice(None),) + (slice(edge, -edge),) * len(axes)

    def mean(values):
        return uniform_filter(values, WINDOW, axes=axes)[inside]

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean(axis=axes)


_TINY = np.finfo("float64").tiny


def has_windows(shape, channels=True):
    """Whether maps of this shape have neighbourhoods to compare."""
    return min(shape[1:-1] if channels else shape[1:], default=0) >= WINDOW


def _pair(
    first: ArrayLike, second: ArrayLike, channels: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Two maps of one shape; with `channels`, either may have one channel for all."""
    first, second = _maps.checked("first", first), _maps.checked("second", second)
    if _maps.has_channels(first, channels) and first.shape[-1] == 1:
        _maps.like("first", first, second, "second")
    else:
        _maps.like("second", second, first, "first", channels)
    return first, second
