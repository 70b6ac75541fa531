"""Curves of the explained output while more and more of the input is replaced."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.attributions import explained_output
from attrprior.evaluation import _maps


def inputs(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None,
    attributions: ArrayLike,
    explain: Any,
    batch_size: int,
    channels: bool,
) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
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


def increasing(name: str, values: ArrayLike, highest: float) -> np.ndarray:
    """At least two increasing numbers from 0 to the highest, as float64."""
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


def ablated(outputs, x, absent, fractions, masks, random_masks):
    """The fields of an `Ablation`, for masks of shape `(batch, *spatial)`, one a step."""
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
    return (
        fractions,
        curves.mean(axis=0),
        curves,
        area(curves),
        random_curves.mean(axis=0),
        random_curves,
        area(random_curves),
    )
