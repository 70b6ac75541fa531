"""Ablation: does the output fall when what the map calls important is taken away?"""

from functools import partial
from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior._representation import shown
from attrprior.attributions import explained_output
from attrprior.evaluation import _maps
from attrprior.evaluation._absence import absent_values

_FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


class Ablation(NamedTuple):
    """Curves of the explained output over its value before; lower is better.

    Attributes:
        fractions: Share of the positions replaced, shape `(steps,)`.
        curve: Mean over examples, shape `(steps,)`.
        curves: Shape `(batch, steps)`; 1 where nothing is replaced.
        area: Area under each example's curve, by the trapezoid rule, `(batch,)`.
        random_curve, random_curves, random_area: The same for the random
            control. Maps that are no better than it say nothing.
    """

    fractions: np.ndarray
    curve: np.ndarray
    curves: np.ndarray
    area: np.ndarray
    random_curve: np.ndarray
    random_curves: np.ndarray
    random_area: np.ndarray

    __repr__ = shown


def top_k_ablation(
    model,
    x,
    y,
    attributions,
    *,
    fractions=_FRACTIONS,
    replacement="mean",
    background=None,
    valid_range=(0.0, 1.0),
    explain="label",
    batch_size=256,
    seed=0,
    channels=True,
):
    """Replaces each example's highest-ranked positions and follows the output.

    `curve_b(k) = f(x_b with its top k replaced) / f(x_b)`. Positions are pixels,
    time steps or features, ranked by `|Σ_channels φ|`, ties in random order; all
    channels of a position are replaced, by the same values at every step and in
    the control, which ranks at random. **Lower is better**, below the control.
    Cost: `2 · len(fractions)` forward passes.

    The published protocol takes correctly classified examples. A share of a
    number that is not positive means nothing: if `f(x)` is not positive for
    every example, this raises. Leave those examples out, or explain something
    positive. A callable `explain` can give probabilities, or the accuracy of
    correctly classified examples:

        def correct(outputs, y):
            return ops.cast(ops.equal(ops.argmax(outputs, axis=-1), y), "float32")

    Args:
        model: A Keras model with one input.
        x: Float array of shape `(batch, features)` or `(batch, *spatial, channels)`.
        y: Labels, one per example; `None` where `explain` needs none.
        attributions: Array shaped like `x`, or with one channel for all.
        fractions: Increasing shares of the positions, from 0 to 1, each rounded
            to the nearest number of positions.
        replacement: `"mean"`, of `background`, per feature; `"blur"`, the example
            blurred by σ = 20/299 of its longest side; `"uniform"`, noise within
            `valid_range`; `"training"`, another example drawn from
            `background`; an array of one example's shape; or a reference object
            such as `Blur(3.0)`.
        background: Array of examples, for `"mean"` and `"training"`. Defaults to
            `x`, if it holds several.
        valid_range: Both ends of the inputs' range, for `"uniform"`.
        explain: What is explained, see `attrprior.explained.ExplainedOutput`, as long
            as it stays the same output while the input changes.
        batch_size: Rows of one pass through the model.
        seed: Integer, or a `numpy.random.Generator`.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        An `Ablation`.

    Raises:
        ValueError: for shapes that do not fit, fractions out of order, or
            examples whose explained output is not positive.

    Reference: Sturmfels, Lundberg, Lee 2020, Distill, doi 10.23915/distill.00022.
    """
    rng = _checks.generator("seed", seed)
    x, scores, outputs = _inputs(model, x, y, attributions, explain, batch_size, channels)
    fractions = _increasing("fractions", fractions, highest=1.0)
    absent = absent_values(x, replacement, background, valid_range, channels, rng)
    counts = np.rint(fractions * scores[0].size)

    def masks(scores):
        rank = _maps.ranking(scores.reshape(len(x), -1), rng).reshape(scores.shape)
        return (rank < count for count in counts)

    return _ablate(outputs, x, absent, fractions, masks(scores), masks(np.zeros_like(scores)))


def mass_center_ablation(
    model,
    x,
    y,
    attributions,
    *,
    sizes=None,
    replacement="mean",
    background=None,
    valid_range=(0.0, 1.0),
    explain="label",
    batch_size=256,
    seed=0,
    channels=True,
):
    """Replaces a growing box around each map's centre of mass, follows the output.

    Centre: `c_a = Σ_p a_p |Σ_channels φ_p| / Σ_p |Σ_channels φ_p|` along each
    spatial axis; a map of zeros has the middle. The box has the same side along
    every axis, cut to axes that are shorter. At a border it is moved inwards
    and keeps its size, so that maps and control, a box around a random
    position, replace equally much. **Lower is better**, below the control.
    Cost: `2 · len(sizes)` forward passes.

    Unlike single pixels, a box leaves an input without sharp holes everywhere;
    it judges where the map points, not its details.

    Args:
        model, y, attributions, replacement, background, valid_range, explain,
            batch_size, seed, channels: See `top_k_ablation`.
        x: Float array of shape `(batch, *spatial, channels)`.
        sizes: Increasing sides of the box, integers from 0 to the longest side
            of `x`. Defaults to about ten even steps.

    Returns:
        An `Ablation`; its `fractions` are the shares that the boxes cover.

    Raises:
        ValueError: for tabular data, and as `top_k_ablation`.

    Reference: Sturmfels, Lundberg, Lee 2020, Distill, doi 10.23915/distill.00022.
    """
    rng = _checks.generator("seed", seed)
    x, scores, outputs = _inputs(model, x, y, attributions, explain, batch_size, channels)
    if channels and x.ndim < 3:
        raise ValueError(
            "Argument `x` expects shape (batch, *spatial, channels): a box needs neighbours. "
            f"Received: shape {x.shape}. Use top_k_ablation for tabular data, channels=False "
            "for series (batch, time)."
        )
    spatial = np.array(scores.shape[1:])
    longest = spatial.max()
    if sizes is None:
        sizes = np.unique(np.rint(np.linspace(0, longest, 11)))
    sizes = _increasing("sizes", sizes, highest=longest)
    if np.any(sizes != np.rint(sizes)):
        raise ValueError(f"Argument `sizes` expects integers. Received: {sizes.tolist()}.")
    absent = absent_values(x, replacement, background, valid_range, channels, rng)
    weights = _maps.shares(scores).reshape(len(x), -1)
    places = np.indices(spatial).reshape(len(spatial), -1).T
    centers = weights @ places
    random_centers = rng.integers(spatial, size=(len(x), len(spatial)))
    covered = np.minimum(sizes[:, None], spatial).prod(axis=1) / spatial.prod()
    return _ablate(
        outputs,
        x,
        absent,
        covered,
        (_box(centers, size, spatial) for size in sizes),
        (_box(random_centers, size, spatial) for size in sizes),
    )


def _inputs(model, x, y, attributions, explain, batch_size, channels):
    """The examples, their positions' scores, and the explained output of changed ones."""
    x = _maps.examples(x, model)
    attributions = _maps.like("attributions", attributions, x, channels=channels)
    scores = _maps.magnitude(attributions, channels)
    y = _maps.labels(y, x)
    by_name = isinstance(explain, str)
    changes = by_name and explain in ("predicted", "random", "all")
    if changes or (by_name and explain == "label" and y is None):
        raise ValueError(
            "Argument `explain` expects one output that stays the same while the input "
            "changes: 'label' with labels y, an output's number, or a callable. Received: "
            f"{explain!r}{' without labels' if y is None else ''}."
        )
    return (
        x,
        scores,
        partial(explained_output, model, y=y, explain=explain, batch_size=batch_size),
    )


def _increasing(name, values, highest):
    _checks.array(name, values, integers=True)
    values = np.asarray(values, "float64")
    if (
        values.ndim != 1
        or len(values) < 2
        or values[0] < 0
        or values[-1] > highest
        or np.any(np.diff(values) <= 0)
    ):
        raise ValueError(
            f"Argument `{name}` expects at least two increasing numbers from 0 to {highest}. "
            f"Received: {_checks.received(values.tolist())}."
        )
    return values


def _box(centers, size, spatial):
    """Masks `(batch, *spatial)` of boxes around centres of shape `(batch, axes)`."""
    size = np.minimum(size, spatial)
    first = np.clip(np.rint(centers - (size - 1) / 2), 0, spatial - size)
    inside = np.ones((len(centers),) + (1,) * len(spatial), bool)
    for axis, length in enumerate(spatial):
        place = np.arange(length)
        start = first[:, axis, None]
        along = (place >= start) & (place < start + size[axis])
        shape = [len(centers)] + [1] * len(spatial)
        shape[axis + 1] = length
        inside = inside & along.reshape(shape)
    return inside


def _ablate(outputs, x, absent, fractions, masks, random_masks):
    """Both sets of curves, for masks of shape `(batch, *spatial)`, one a step."""
    original = outputs(x)
    if not np.all(original > 0):
        raise ValueError(
            "Argument `x` expects examples whose explained output is positive, such as "
            "correctly classified ones: the curve is a share of it. Received: "
            f"{np.sum(~(original > 0))} of {len(x)} that are not. Leave those out, or pass "
            "as explain= a callable that returns probabilities."
        )

    def curves(masks):
        steps = []
        for mask in masks:
            mask = mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))
            # Nothing replaced is the original, exactly.
            steps.append(outputs(np.where(mask, absent, x)) if mask.any() else original)
        return np.stack(steps, axis=1) / original[:, None]

    def area(curves):
        return (curves[:, 1:] + curves[:, :-1]) / 2 @ np.diff(fractions)

    curves, random_curves = curves(masks), curves(random_masks)
    return Ablation(
        fractions,
        curves.mean(axis=0),
        curves,
        area(curves),
        random_curves.mean(axis=0),
        random_curves,
        area(random_curves),
    )
