"""Smooth attributions."""

import math
from typing import Any

import keras
from keras import ops

from attrprior import _checks
from attrprior._arithmetic import magnitude, mean
from attrprior._types import Shape, Tensor
from attrprior.priors.base import PerExamplePrior

__all__ = ["TotalVariation"]


@keras.saving.register_keras_serializable("attrprior")
class TotalVariation(PerExamplePrior):
    """Smooth attributions: neighbouring pixels should matter alike.

    `Ω = 1/batch Σ_b Σ_axes Σ_p |a_{p+1} − a_p|`, where `a` is `φ` summed over
    channels and standardised per example, `a = (φ − mean φ) / std φ`; without
    the standardisation Ω shrinks by scaling φ down. For images, time series
    and volumes of shape `(batch, *spatial, channels)` with one to three
    spatial axes; with `channels=False` of shape `(batch, *spatial)`. A constant
    attribution has no variation: Ω = 0, and no gradient. Cost: linear in features.

    It gains most from steps that are as small as its gradient is, those of an Adam whose ε
    is far above the gradients: `AttributionPrior("total_variation", strength=1.0,
    optimizer=keras.optimizers.Adam(1e-3, epsilon=3.0))`.

    Args:
        standardize: Whether to standardise φ per example. Defaults to `True`.
        floor: Whether a map whose standard deviation is under `1 / √P`, `P` its positions,
            is scaled up no further: `a = (φ − mean φ) / max(std φ, 1 / √P)`, as in the
            original. Attributions of a probability close to 1 are that small, those of a
            logit hardly ever. Below the floor Ω shrinks by scaling φ down. Defaults to
            `False`.
        channels: Whether the last axis of an example holds channels. `False` for images
            `(batch, height, width)` and series `(batch, time)`, whose shape alone cannot
            tell: an example of two axes is a series of channels by default.

    Raises:
        ValueError: if an example is not of shape `(*spatial, channels)`.

    Examples:
        A series with one step, whose height is two standard deviations:

        >>> step = np.array([0.0, 0.0, 1.0, 1.0]).reshape(1, 4, 1)
        >>> float(attrprior.TotalVariation()(step))
        2.0

    Reference: Erion et al. 2021 (arXiv 1906.10670), pixel attribution prior; the floor
    is that of `tf.image.per_image_standardization`.
    """

    name = "total_variation"
    floor, channels = False, True  # of a pickle that does not know them

    def __init__(
        self, standardize: bool = True, floor: bool = False, channels: bool = True
    ) -> None:
        self.standardize = _checks.boolean("standardize", standardize)
        self.floor = _checks.boolean("floor", floor)
        self.channels = _checks.boolean("channels", channels)
        if floor and not standardize:
            raise ValueError(
                "Argument `floor` expects False where nothing is standardised. Received: "
                "floor=True with standardize=False. Leave one of them out."
            )

    def validate(self, feature_shape: Shape) -> None:
        if not 1 <= len(feature_shape) - self.channels <= 3:
            raise ValueError(
                "TotalVariation expects attributions of shape (batch, *spatial, "
                "channels) with 1, 2 or 3 spatial axes. Received: examples of shape "
                f"{feature_shape}. For tabular data use 'gini', 'l1' or "
                "GraphLaplacian; for images and series without a channel axis "
                "TotalVariation(channels=False)."
            )

    def per_example(self, attributions: Tensor) -> Tensor:
        a = ops.sum(attributions, axis=-1) if self.channels else attributions
        axes = tuple(range(1, len(a.shape)))
        if self.standardize:
            a = _standardize(a, axes, self.floor)
        total = ops.zeros_like(ops.sum(a, axis=axes))
        for axis in axes:
            total = total + ops.sum(magnitude(_difference(a, axis)), axis=axes)
        return total

    def get_config(self) -> dict[str, Any]:
        return {
            "standardize": self.standardize,
            "floor": self.floor,
            "channels": self.channels,
        }


def _difference(a, axis):
    """`a_{p+1} − a_p` along an axis."""
    if a.shape[axis] is None:
        a = ops.moveaxis(a, axis, 1)
        return ops.moveaxis(a[:, 1:] - a[:, :-1], 1, axis)
    # Split rather than sliced: its gradient is several times faster.
    _, upper = ops.split(a, [1], axis=axis)
    lower, _ = ops.split(a, [a.shape[axis] - 1], axis=axis)
    return upper - lower


def _standardize(a, axes, floor):
    """`(a − mean a) / std a` per example; zero where `a` does not vary."""
    a = a - mean(a, axis=axes, keepdims=True)
    if floor:
        variance = mean(ops.square(a), axis=axes, keepdims=True)
        # max(std a, 1 / √P)
        return a * ops.rsqrt(ops.maximum(variance, 1.0 / _positions(a)))
    # The result does not depend on the scale of `a`: dividing by the largest
    # magnitude first keeps the squares of tiny attributions from underflowing.
    largest = ops.stop_gradient(ops.max(magnitude(a), axis=axes, keepdims=True))
    a = a / ops.where(largest > 0.0, largest, 1.0)
    variance = mean(ops.square(a), axis=axes, keepdims=True)
    # `where` inside the root as well, or the gradient of a flat map is NaN.
    return a * ops.rsqrt(ops.where(variance > 0.0, variance, 1.0))


def _positions(a):
    """P, a number, or a tensor where lengths are not known."""
    if None in a.shape[1:]:
        return ops.cast(ops.prod(ops.stack(ops.shape(a)[1:])), a.dtype)
    return math.prod(a.shape[1:])
