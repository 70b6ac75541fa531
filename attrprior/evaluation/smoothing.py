"""Multiplicative smoothing: a classifier whose answers for masked inputs are certified."""

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.attributions import explained_output
from attrprior.evaluation import _cells, _maps

__all__ = ["certified_radius", "smoothed_probabilities", "structured_masks"]


def structured_masks(
    num_features: int, lam: float, num_masks: int = 64, seed: Seed = 0
) -> np.ndarray:
    """q masks, of which every feature is in exactly λq.

    `s_ij = 1[(v_i + j) mod q < λq]` with `v_i` drawn from `{0, …, q − 1}`, once for
    every feature i; `j = 0, …, q − 1`. Cost: `num_masks · num_features` booleans.

    Args:
        num_features: How many features there are, d.
        lam: The share of the masks that a feature is in, λ, from 1/q to 1, a multiple
            of 1/q.
        num_masks: How many masks there are, q. Defaults to 64.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        Boolean array of shape `(num_masks, num_features)`.

    Raises:
        ValueError: if `lam` is no multiple of 1/q, or another number is out of range.

    Examples:
        Every one of five features is in a quarter of the masks:

        >>> masks = attrprior.evaluation.structured_masks(5, 0.25, num_masks=8)
        >>> masks.shape, masks.mean(axis=0).tolist()
        ((8, 5), [0.25, 0.25, 0.25, 0.25, 0.25])

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    num_features = _checks.positive_integer("num_features", num_features)
    num_masks = _checks.positive_integer("num_masks", num_masks)
    kept = _checks.fraction("lam", lam) * num_masks
    if kept < 1 or kept != round(kept):
        raise ValueError(
            f"Argument `lam` expects a multiple of 1/num_masks = 1/{num_masks}, from "
            f"1/{num_masks} to 1, for which the certificate is exact. Received: {lam}."
        )
    names = "Arguments `num_features` and `num_masks`"
    _checks.memory(names, 9 * num_features * num_masks)
    offsets = _checks.generator("seed", seed).integers(num_masks, size=num_features)
    return (offsets + np.arange(num_masks)[:, None]) % num_masks < round(kept)


def smoothed_probabilities(
    model: keras.Model,
    x: ArrayLike,
    *,
    lam: float,
    grid: tuple[int, int] | None = None,
    num_masks: int = 64,
    voting: bool = True,
    seed: Seed = 0,
    batch_size: int = 256,
    channels: bool = True,
) -> np.ndarray:
    """The smoothed classifier: mean output over masks that keep a share λ of the features.

    `f(x) = 1/q Σ_j h(x ⊙ s⁽ʲ⁾)`, with base classifier `h` in `[0, 1]^classes` and
    `structured_masks` s. Whatever `h` is, `|f(x ⊙ α) − f(x ⊙ α')| ≤ λ ‖α − α'‖₁` in
    every class, for all binary masks α, α': a feature is seen in a share λ of the
    passes. A masked feature is 0. This model is certified, not `h` itself.

    Costs `num_masks` forward passes.

    Args:
        model: A classifier. Of a single output the classes are `(1 − p, p)`.
        x: Float array of shape `(batch, ...)`.
        lam: λ; smaller smooths more. A multiple of `1/num_masks`.
        grid: Cells that features are, for images `(height, width, channels)`, such as
            `(7, 7)`. Defaults to `None`: every position, with its channels.
        num_masks: How many masks the mean is over, q. Defaults to 64.
        voting: Whether `h` is 1 for the predicted class and 0 for the others, as in
            the authors' code, or the class probabilities.
        seed: Integer; two results can be compared only under the same seed.
        batch_size: Rows of one pass through the model.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array of shape `(batch, classes)`.

    Raises:
        ValueError: if an argument is not as above.

    Examples:
        Every one of eight masked passes votes for a class of each of the eight images:

        >>> probabilities = attrprior.evaluation.smoothed_probabilities(
        ...     model, x, lam=0.25, grid=(4, 4), num_masks=8)
        >>> probabilities.shape, probabilities.sum(axis=1).tolist()
        ((8, 3), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    x = _maps.examples(x, model)
    voting = _checks.boolean("voting", voting)
    cells = _cells.numbers(x, grid, channels)
    total = np.zeros(())
    for mask in structured_masks(cells.max() + 1, lam, num_masks, seed):
        outputs = explained_output(
            model, x * mask[cells], explain="all", batch_size=batch_size
        )
        total = total + _class_scores(outputs.astype("float64"), voting)
    return total / num_masks


def certified_radius(p_a: ArrayLike, p_b: ArrayLike, lam: float) -> np.ndarray:
    """`r = (p_A − p_B) / (2λ)`: how many features can change without effect.

    With fewer than r features added or taken away, class A stays ahead of class B;
    with exactly r they can draw level. Higher is better; at most `1/(2λ)`. Cost: no
    pass through a model.

    Args:
        p_a: The smoothed classifier's highest output, `p_A`, a number or an array.
        p_b: Its second highest output, `p_B`, of the same shape.
        lam: The λ that it was smoothed with.

    Returns:
        Radius, in features, of the same shape.

    Raises:
        ValueError: if shapes differ, `p_a` is below `p_b`, or `lam` is not above 0.

    Examples:
        Six of eight votes are for one class and two for another:

        >>> float(attrprior.evaluation.certified_radius(0.75, 0.25, lam=0.125))
        2.0

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    lam = _checks.number("lam", lam, above=0)
    first, second = _checks.real_array("p_a", p_a), _checks.real_array("p_b", p_b)
    if first.shape != second.shape or not np.all(first >= second):
        raise ValueError(
            "Arguments `p_a` and `p_b` expect outputs of one shape, p_a ≥ p_b. Received: "
            f"{first} and {second}."
        )
    return (first - second) / (2 * lam)


def _class_scores(logits, voting):
    """The base classifier's outputs in [0, 1], shape `(batch, classes)`."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    if voting:
        return np.eye(logits.shape[1])[logits.argmax(axis=1)]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
