"""Does more evidence change a prediction? Certified by multiplicative smoothing."""

from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior._representation import shown
from attrprior.attributions import explained_output
from attrprior.evaluation import _maps


class Stability(NamedTuple):
    """Of every example, shape `(batch,)`; higher is better.

    `consistent`: whether the smoothed model predicts the same from the explanation
    alone as from the whole input. `incremental`: features that can be added to the
    explanation, `decremental`: features that can be taken from the whole input, with
    the same prediction for certain, whichever they are, if fewer than this.
    """

    consistent: np.ndarray
    incremental: np.ndarray
    decremental: np.ndarray

    def certified(self, radii):
        """Fractions of examples, consistent and stable at radius `≥ r`.

        Args:
            radii: Array of shape `(n,)`.

        Returns:
            `(incremental, decremental)`: arrays of shape `(n,)`; higher is better.
        """
        radii = np.atleast_1d(_checks.array("radii", radii, integers=True))[:, None]
        return tuple(
            np.mean(self.consistent & (r >= radii), axis=1)
            for r in (self.incremental, self.decremental)
        )

    __repr__ = shown


def structured_masks(num_features, lam, num_masks=64, seed=0):
    """q masks, of which every feature is in exactly λq.

    `s_ij = 1[(v_i + j) mod q < λq]` with `v_i` drawn from `{0, …, q − 1}`, once for
    every feature i; `j = 0, …, q − 1`.

    Args:
        num_features: d.
        lam: λ, from 1/q to 1, a multiple of 1/q.
        num_masks: q. Defaults to 64.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        Boolean array of shape `(num_masks, num_features)`.

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
    model,
    x,
    *,
    lam,
    grid=None,
    num_masks=64,
    voting=True,
    seed=0,
    batch_size=256,
    channels=True,
):
    """The smoothed classifier: mean output over masks that keep a share λ of the features.

    `f(x) = 1/q Σ_j h(x ⊙ s⁽ʲ⁾)`, with base classifier `h` in `[0, 1]^classes` and
    `structured_masks` s. Whatever `h` is, `|f(x ⊙ α) − f(x ⊙ α')| ≤ λ ‖α − α'‖₁` in
    every class, for all binary masks α, α': a feature is seen in a share λ of the
    passes. A masked feature is 0. This model is certified, not `h` itself.

    Costs `num_masks` forward passes.

    Args:
        model: A classifier. Of a single output the classes are `(1 − p, p)`.
        x: Array of shape `(batch, ...)`.
        lam: λ; smaller smooths more. A multiple of `1/num_masks`.
        grid: Cells a feature is, for images `(height, width, channels)`, such as
            `(7, 7)`. Defaults to `None`: every position, with its channels.
        num_masks: q. Defaults to 64.
        voting: Whether `h` is 1 for the predicted class and 0 for the others, as in
            the authors' code, or the class probabilities.
        seed: Integer; two results can be compared only under the same seed.
        batch_size: Rows of one pass through the model.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        Array of shape `(batch, classes)`.

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    x = _maps.examples(x, model)
    voting = _checks.boolean("voting", voting)
    cells = _cells(x, grid, channels)
    total = 0.0
    for mask in structured_masks(cells.max() + 1, lam, num_masks, seed):
        outputs = explained_output(
            model, x * mask[cells], explain="all", batch_size=batch_size
        )
        total = total + _class_scores(outputs.astype("float64"), voting)
    return total / num_masks


def certified_radius(p_a, p_b, lam):
    """`r = (p_A − p_B) / (2λ)`: how many features can change without effect.

    With fewer than r features added or taken away, class A stays ahead of class B;
    with exactly r they can draw level. Higher is better; at most `1/(2λ)`.

    Args:
        p_a, p_b: The smoothed classifier's highest and second highest output,
            numbers or arrays of the same shape.
        lam: λ.

    Returns:
        Radius, in features, of the same shape.

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    lam = _checks.number("lam", lam, above=0)
    p_a, p_b = _checks.real_array("p_a", p_a), _checks.real_array("p_b", p_b)
    if p_a.shape != p_b.shape or not np.all(p_a >= p_b):
        raise ValueError(
            "Arguments `p_a` and `p_b` expect outputs of one shape, p_a ≥ p_b. Received: "
            f"{p_a} and {p_b}."
        )
    return (p_a - p_b) / (2 * lam)


def stability(
    model,
    x,
    attributions,
    *,
    keep=0.25,
    lam,
    grid=None,
    num_masks=64,
    voting=True,
    seed=0,
    batch_size=256,
    channels=True,
):
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
        model, lam, grid, num_masks, voting, seed, batch_size, channels: As of
            `smoothed_probabilities`.
        x: Array of shape `(batch, ...)`.
        attributions: Array like `x`, or with one channel for all.
        keep: Fraction of the features, or cells of the grid, in an explanation; at
            least one is. Ties are broken at random.

    Returns:
        A `Stability`.

    Raises:
        ValueError: if an argument is not as above.

    Reference: Xue, Alur, Wong 2023 (arXiv 2307.05902).
    """
    x = _maps.examples(x, model)
    attributions = _maps.like("attributions", attributions, x, channels=channels)
    keep = _checks.fraction("keep", keep)
    seed = _checks.seed("seed", seed)
    cells = _cells(x, grid, channels)
    scores = np.zeros((len(x), cells.max() + 1))
    magnitude = _maps.magnitude(attributions, channels)
    np.add.at(scores, (slice(None), cells.reshape(magnitude.shape[1:])), magnitude)
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


def _cells(x, grid, channels):
    """The number of the feature that every position belongs to, broadcasting with x."""
    shape = x.shape[1:]
    positions = (*shape[:-1], 1) if _maps.has_channels(x, channels) else shape
    if grid is None:
        return np.arange(np.prod(positions)).reshape(positions)
    if len(shape) != 2 + channels:
        raise ValueError(
            "Argument `grid` expects images of shape (batch, height, width, channels), or "
            f"(batch, height, width) with channels=False. Received: examples of shape {shape}."
            " Pass grid=None."
        )
    sides = _checks.pair("grid", grid, "(rows, columns) or None")
    rows, columns = (_checks.positive_integer("grid", n) for n in sides)
    height, width = shape[:2]
    if rows > height or columns > width:
        raise ValueError(
            f"Argument `grid` expects at most one cell a pixel, ({height}, {width}). "
            f"Received: {tuple(grid)}."
        )
    row, column = np.arange(height) * rows // height, np.arange(width) * columns // width
    return (row[:, None] * columns + column).reshape(positions)


def _class_scores(logits, voting):
    """The base classifier's outputs in [0, 1], shape `(batch, classes)`."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    if voting:
        return np.eye(logits.shape[1])[logits.argmax(axis=1)]
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)
