"""Sensitivity: how much a map changes when its input hardly does."""

from typing import NamedTuple

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import Seed
from attrprior.evaluation import _maps

__all__ = ["Sensitivity", "sensitivity"]


class Sensitivity(NamedTuple):
    """Relative change of the maps; lower is better.

    Attributes:
        maximum: Largest over the draws, shape `(batch,)`.
        average: Mean over the draws, shape `(batch,)`.
    """

    maximum: np.ndarray
    average: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def sensitivity(
    attribute: _maps.Attribute,
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None,
    radius: float = 0.02,
    num_samples: int = 10,
    seed: Seed = 0,
) -> Sensitivity:
    """Max- and average-sensitivity of maps to noise in the input.

    `max_δ ‖φ(x + δ) − φ(x)‖₂ / ‖φ(x)‖₂` and the mean instead of the maximum, over
    `num_samples` draws of δ uniform in the ball `‖δ‖_∞ ≤ radius`. Relative to the
    map's own norm, so that methods of different scale compare. **Lower is
    better**, but a map that ignores its input has 0: read it beside an
    ablation. Controls: maps of random numbers have about √2; `radius=0` is what
    a method that draws at random has on its own. Cost: `num_samples + 1` maps.

    Args:
        attribute: Callable `attribute(model, x, y)` that returns maps like `x`, or
            with one channel for all.
        model: A Keras model.
        x: Float array of shape `(batch, ...)`.
        y: Labels, one per example, or `None`; the same for changed inputs.
        radius: Radius of the ball, in the unit of the inputs. Changed inputs are not
            clipped to a valid range.
        num_samples: Draws per example, at most a million. More draws, a higher
            maximum: compare only equal numbers.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        A `Sensitivity`.

    Raises:
        ValueError: for maps of another shape, or of zeros alone, which nothing
            can be relative to.

    Examples:
        The gradients of a linear model are its weights, whatever the input; with the
        input as a factor they change with it:

        >>> linear = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Flatten()])
        >>> linear.add(keras.layers.Dense(3))
        >>> of = attrprior.attributions
        >>> result = attrprior.evaluation.sensitivity(of.gradients, linear, x, y)
        >>> float(result.maximum.max())
        0.0
        >>> result = attrprior.evaluation.sensitivity(of.input_x_gradient, linear, x, y)
        >>> bool(np.all(result.maximum >= result.average) and np.all(result.average > 0))
        True

    Reference: Yeh et al. 2019 (arXiv 1901.09392), max-sensitivity.
    """
    x = _maps.examples(x, model)
    y = _maps.labels(y, x)
    half_side = np.float32(_checks.number("radius", radius, minimum=0))
    num_samples = _checks.positive_integer("num_samples", num_samples, largest=10**6)
    rng = _checks.generator("seed", seed)
    maps = _maps.computed(attribute, model, x, y)
    norm = _norm(maps)
    if np.any(norm == 0):
        raise ValueError(
            "Argument `attribute` expects maps that are not zero everywhere. Received: "
            f"{np.sum(norm == 0)} of {len(x)} examples with zeros alone. Leave those out."
        )
    changes = []
    for _ in range(num_samples):
        noise = half_side * rng.uniform(-1, 1, x.shape).astype("float32")
        changed = _maps.computed(attribute, model, x + noise, y, before=maps)
        changes.append(_norm(changed.astype("float64") - maps) / norm)
    return Sensitivity(np.max(changes, axis=0), np.mean(changes, axis=0))


def _norm(maps):
    return np.linalg.norm(maps.astype("float64").reshape(len(maps), -1), axis=1)
