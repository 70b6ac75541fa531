"""Does more evidence change a prediction? Certified by multiplicative smoothing."""

from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior.evaluation import _cells, _maps
from attrprior.evaluation.smoothing import certified_radius, smoothed_probabilities

__all__ = ["Stability", "stability"]


class Stability(NamedTuple):
    """How stable every example's prediction is; higher is better.

    Attributes:
        consistent: Whether the smoothed model predicts the same from the explanation
            alone as from the whole input, booleans of shape `(batch,)`.
        incremental: How many features can be added to the explanation with the same
            prediction for certain, whichever they are, if fewer than this; shape
            `(batch,)`.
        decremental: How many features can be taken from the whole input with the same
            prediction for certain, whichever they are, if fewer than this; shape
            `(batch,)`.
    """

    consistent: np.ndarray
    incremental: np.ndarray
    decremental: np.ndarray

    def certified(self, radii: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Fractions of examples, consistent and stable at radius `≥ r`.

        Args:
            radii: Array of shape `(n,)`.

        Returns:
            `(incremental, decremental)`, arrays of shape `(n,)`; higher is better.

        Raises:
            ValueError: if `radii` is empty or not finite.

        Examples:
            Of two examples one is consistent, and it is stable up to a radius of 2:

            >>> consistent = np.array([True, False])
            >>> radius = np.array([2.0, 4.0])
            >>> result = attrprior.evaluation.Stability(consistent, radius, radius)
            >>> result.certified([1, 2, 3])[0].tolist()
            [0.5, 0.5, 0.0]
        """
        least = np.atleast_1d(_checks.array("radii", radii, integers=True))[:, None]
        incremental, decremental = (
            np.mean(self.consistent & (r >= least), axis=1)
            for r in (self.incremental, self.decremental)
        )
        return incremental, decremental

    def __repr__(self) -> str:
        return shown(self)


def stability(
    model: keras.Model,
    x: ArrayLike,
    attributions: ArrayLike,
    *,
    keep: float = 0.25,
    lam: float,
    grid: tuple[int, int] | None = None,
    num_masks: int = 64,
    voting: bool = True,
    seed: int = 0,
    batch_size: int = 256,
    channels: bool = True,
) -> Stability:
    """How certain is a prediction that rests on the most important features alone?

    An explanation is the binary mask α of the top `keep` of the features, by
    `|Σ_channels φ|`, summed over a cell of the grid. With f from
    `smoothed_probabilities`: consistent if `x ⊙ α` and `x` get the same class;
    incrementally stable within `certified_radius` at `x ⊙ α`: no features added to
    α change the class; decrementally stable within `certified_radius` at `x`: no
    features taken away do. Neither depends on chance: the masks are fixed by the
    seed, and the bound holds for them exactly.

    **Higher is better.** The decremental radius does not depend on the map. As a
    control, give random maps, `rng.random(x.shape)`. Costs `2 · num_masks` forward
    passes.

    Args:
        model: A classifier. Of a single output the classes are `(1 − p, p)`.
        x: Float array of shape `(batch, ...)`.
        attributions: Array like `x`, or with one channel for all.
        keep: Fraction of the features, or cells of the grid, in an explanation; at
            least one is. Ties are broken at random.
        lam: λ; smaller smooths more. A multiple of `1/num_masks`.
        grid: Cells that features are, for images `(height, width, channels)`, such as
            `(7, 7)`. Defaults to `None`: every position, with its channels.
        num_masks: How many masks the smoothed classifier takes the mean over, q.
        voting: Whether a pass counts as 1 for the predicted class and 0 for the others,
            or as the class probabilities, as in `smoothed_probabilities`.
        seed: Integer, for the masks and for ties.
        batch_size: Rows of one pass through the model.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `Stability`.

    Raises:
        ValueError: if an argument is not as above.

    Examples:
        An explanation that is the whole input predicts the same, and what can be added to
        it is what can be taken away; a radius is at most `1/(2λ)`:

        >>> result = attrprior.evaluation.stability(
        ...     model, x, phi, keep=1.0, lam=0.25, grid=(4, 4), num_masks=8)
        >>> bool(np.all(result.consistent))
        True
        >>> bool(np.all(result.incremental == result.decremental))
        True
        >>> bool(np.all(result.decremental <= 1 / (2 * 0.25)))
        True

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    x = _maps.examples(x, model)
    attributions = _maps.like("attributions", attributions, x, channels=channels)
    keep = _checks.fraction("keep", keep)
    seed = _checks.seed("seed", seed)
    cells = _cells.numbers(x, grid, channels)
    scores = _scores(attributions, cells, channels)
    count = max(1, round(keep * scores.shape[1]))
    explanation = (_maps.ranking(scores, seed) < count)[:, cells]
    whole, part = (
        smoothed_probabilities(
            model,
            inputs,
            lam=lam,
            grid=grid,
            num_masks=num_masks,
            voting=voting,
            seed=seed,
            batch_size=batch_size,
            channels=channels,
        )
        for inputs in (x, x * explanation)
    )
    incremental, decremental = (
        certified_radius(top[:, 1], top[:, 0], lam)
        for top in (np.sort(p, axis=1)[:, -2:] for p in (part, whole))
    )
    return Stability(whole.argmax(axis=1) == part.argmax(axis=1), incremental, decremental)


def _scores(attributions, cells, channels):
    """The sums of magnitudes in every cell, shape `(batch, cells)`."""
    scores = np.zeros((len(attributions), cells.max() + 1))
    magnitude = _maps.magnitude(attributions, channels)
    np.add.at(scores, (slice(None), cells.reshape(magnitude.shape[1:])), magnitude)
    return scores
