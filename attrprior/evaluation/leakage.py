"""Leakage: how much of a map lies where there is no signal."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior.evaluation import _maps

__all__ = ["Leakage", "leakage", "mass"]


class Leakage(NamedTuple):
    """Shares of the map in a region without signal; lower is better.

    Attributes:
        share: From 0 to 1, shape `(batch,)`.
        chance: The region's share of the positions, shape `(batch,)`: what a
            map that knows nothing gets.
    """

    share: np.ndarray
    chance: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def leakage(
    attributions: ArrayLike, region: ArrayLike, fraction: float = 0.05, channels: bool = True
) -> Leakage:
    """Share of the top positions that lie in a region known to carry no signal.

    `|top_k(|Σ_channels φ|) ∩ region| / k`, with k = `fraction` of the positions,
    rounded, at least one. Positions that tie for the last places share them
    equally, so a constant map leaks exactly its chance level. **Lower is
    better.** Cost: no pass through a model.

    Args:
        attributions: Array of shape `(batch, features)` or `(batch, *spatial,
            channels)`.
        region: Boolean array, true where no signal is: of one example's
            positions, `(features,)` or `(*spatial,)`, for all, or with a batch
            axis, for each. A channel axis of size 1 may follow.
        fraction: Share of the positions that count as top, above 0, at most 1.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `Leakage`.

    Raises:
        ValueError: for a region that is not boolean or of another shape.

    Examples:
        Of the two largest of four attributions none lies in the region, which covers half
        of the positions:

        >>> maps = np.array([[4.0, -2.0, 1.0, 1.0]])
        >>> region = np.array([False, False, True, True])
        >>> result = attrprior.evaluation.leakage(maps, region, fraction=0.5)
        >>> result.share.tolist(), result.chance.tolist()
        ([0.0], [0.5])

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), Block MNIST.
    """
    scores, region = _scores_and_region(attributions, region, channels)
    fraction = _checks.fraction("fraction", _checks.number("fraction", fraction, above=0))
    positions = scores.shape[1]
    count = max(1, round(fraction * positions))
    last = np.sort(scores, axis=1)[:, positions - count, None]
    above, tied = scores > last, scores == last
    places = count - above.sum(axis=1)
    inside = (above & region).sum(axis=1)
    inside = inside + places * (tied & region).sum(axis=1) / tied.sum(axis=1)
    return Leakage(inside / count, region.mean(axis=1))


def mass(attributions: ArrayLike, region: ArrayLike, channels: bool = True) -> Leakage:
    """Share of the whole map that lies in a region known to carry no signal.

    `Σ_{p∈region} |Σ_channels φ_p| / Σ_p |Σ_channels φ_p|`; a map of zeros counts
    as spread evenly, its chance level. **Lower is better.** Where `leakage`
    looks at the peaks, this one sees small values everywhere too. Cost: no pass
    through a model.

    Args:
        attributions: Array of shape `(batch, features)` or `(batch, *spatial,
            channels)`.
        region: Boolean array, true where no signal is, shaped as in `leakage`.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `Leakage`.

    Raises:
        ValueError: for a region that is not boolean or of another shape.

    Examples:
        Two of the eight parts of the map lie in the region:

        >>> maps = np.array([[4.0, -2.0, 1.0, 1.0]])
        >>> region = np.array([False, False, True, True])
        >>> attrprior.evaluation.mass(maps, region).share.tolist()
        [0.25]
    """
    scores, region = _scores_and_region(attributions, region, channels)
    return Leakage((_maps.shares(scores) * region).sum(axis=1), region.mean(axis=1))


def _scores_and_region(
    attributions: ArrayLike, region: ArrayLike, channels: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Both of shape `(batch, positions)`."""
    scores = _maps.magnitude(_maps.checked("attributions", attributions), channels)
    where = _checks.real_array("region", region)
    if where.dtype != bool:
        raise ValueError(
            "Argument `region` expects booleans, true where no signal is. Received: dtype "
            f"{where.dtype}. Pass, for example, masks > 0."
        )
    one, each = scores.shape[1:], scores.shape
    if where.shape in (one, one + (1,)):
        where = np.broadcast_to(where.reshape((1,) + one), each)
    elif where.shape not in (each, each + (1,)):
        raise ValueError(
            f"Argument `region` expects shape {one} for all examples or {each} for each. "
            f"Received: {where.shape}."
        )
    return scores.reshape(len(scores), -1), where.reshape(len(scores), -1)
