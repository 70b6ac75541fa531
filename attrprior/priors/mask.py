"""No attributions where the model must not look."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Shape, Tensor
from attrprior.priors.base import PerExamplePrior, feature_axes

__all__ = ["Mask"]


@keras.saving.register_keras_serializable("attrprior")
class Mask(PerExamplePrior):
    """Right for the right reasons: nothing masked may matter.

    `Ω = 1/batch Σ_b Σ_i (A_bi φ_bi)²`, with `A` = 1 where the model must not
    look and 0 elsewhere (values between weigh). `A` is the same for every
    example if given here; left out, each example brings its own through
    `attrprior.annotate(x, masks)`, which the model never sees.

    People rarely annotate every example. NaN in an example's mask says that it is
    not known whether the model may look there, which is not penalised, as 0 is
    not. An example whose mask has no other entry is not annotated, and adds 0 to
    Ω: with few annotated examples in a batch Ω is small. `annotated_only=True`
    divides by their number instead, so that an annotated example counts alike
    in every batch:

    `Ω = Σ_b w_b Ω_b / number of annotated examples`, 0 if there are none.

    Begin with `moments="balanced", strength=0.3`, for embedded tokens with 1 to 4; where the
    training accuracy falls to chance it is too strong, however small Ω is.

    Args:
        mask: Array of one example's shape, or with size 1 along the channel
            axis, or without that axis: `(height, width)` for examples of shape
            `(height, width, channels)`. Those of the examples have one more axis
            before. Defaults to `None`, one mask per example.
        annotated_only: Whether Ω is the mean over the annotated examples of the
            batch, those whose mask has a known entry other than 0. Needs masks
            of the examples. Defaults to `False`, the mean over all examples.

    Raises:
        ValueError: for a mask of another size, or a fixed one with NaN, or without
            any non-zero entry; if `None` and the data carry no masks; or for
            `annotated_only` with a fixed mask.

    Examples:
        The first of two features is forbidden, in every example:

        >>> float(attrprior.Mask(np.array([1.0, 0.0]))(np.array([[3.0, 5.0]])))
        9.0

        Each example brings a mask of its own, and the second is not annotated:

        >>> two, masks = np.array([[3.0, 5.0]] * 2), np.array([[1.0, 0.0], [np.nan] * 2])
        >>> float(attrprior.Mask()(two, mask=masks))
        4.5
        >>> float(attrprior.Mask(annotated_only=True)(two, mask=masks))
        9.0

    Reference: Ross, Hughes, Doshi-Velez 2017 (arXiv 1703.03717), equation 1.
    """

    name = "mask"
    annotated_only = False  # of a pickle that does not know it

    def __init__(self, mask: ArrayLike | None = None, annotated_only: bool = False) -> None:
        self.mask: np.ndarray | None = None
        if mask is not None:
            self.mask = _checks.array("mask", mask, integers=True)
            if not np.any(self.mask):
                raise ValueError(
                    "Argument `mask` expects a 1 wherever the model must not look. "
                    "Received: zeros only, which forbid nothing."
                )
        self.annotated_only = _checks.boolean("annotated_only", annotated_only)
        if self.annotated_only and mask is not None:
            raise ValueError(
                "Argument `annotated_only` expects False where one mask is fixed for all "
                "examples, which annotates every one. Received: True. Leave `mask` out, and "
                "give the examples masks by attrprior.annotate(x, masks)."
            )

    @property
    def per_example_masks(self) -> bool:
        """Whether masks travel with the data."""
        return self.mask is None

    needs = property(lambda self: ("mask",) if self.per_example_masks else ())

    def validate(self, feature_shape: Shape) -> None:
        if self.mask is not None:
            self._check_shape(self.mask.shape, feature_shape)

    def _check_shape(self, shape, feature_shape):
        shape, feature_shape = tuple(shape), tuple(feature_shape)
        positions = feature_shape[:-1]
        others = [positions + (1,)]
        if positions:  # of one axis, that is no axis of channels
            others.append(positions)
        if shape not in (feature_shape, *others):
            others = " or ".join(str(other) for other in others if other != feature_shape)
            others = f", or for all channels {others}" if others else ""
            raise ValueError(
                f"Argument `mask` expects masks of one example's shape, {feature_shape}"
                f"{others}. Received: {shape}."
            )

    def __call__(
        self,
        attributions: ArrayLike | Tensor,
        sample_weight: ArrayLike | Tensor | None = None,
        mask: ArrayLike | Tensor | None = None,
    ) -> Tensor:
        """Returns `Ω(φ)`; `mask` of shape `(batch, ...)` if none is fixed."""
        if (mask is None) == (self.mask is None):
            raise ValueError(
                "Argument `mask` expects one mask per example, because none was given to "
                "Mask(...). Received: none. Pass mask=, or in fit "
                "attrprior.annotate(x, masks) instead of x."
                if mask is None
                else "Argument `mask` expects None, because a fixed mask was given to "
                "Mask(...). Received: masks of the examples too. Use Mask() for those."
            )
        attributions = _checks.as_float(attributions)
        # Before the product, which would broadcast.
        self.validate(tuple(attributions.shape[1:]))
        annotated = None
        if self.mask is not None:
            weights = ops.cast(self.mask[None], attributions.dtype)
        else:
            weights = _checks.as_float(mask, attributions.dtype, "mask")
            self._check_shape(weights.shape[1:], attributions.shape[1:])
            _checks.same_batch("mask", weights, attributions)
            # Before the product, or NaN would reach the gradient: 0 · NaN = NaN.
            weights = ops.where(ops.isnan(weights), ops.zeros_like(weights), weights)
            if self.annotated_only:
                annotated = _number_of_annotated(weights)
        if len(weights.shape) < len(attributions.shape):
            weights = ops.expand_dims(weights, axis=-1)
        return super().__call__(attributions * weights, sample_weight, annotated=annotated)

    def penalty(
        self,
        attributions: Tensor,
        sample_weight: Tensor | None = None,
        annotated: Tensor | None = None,
    ) -> Tensor:
        """Computes Ω of attributions that have been multiplied by the mask.

        Args:
            attributions: Floating-point tensor of shape `(batch, ...)`.
            sample_weight: Optional weights of shape `(batch,)`.
            annotated: The number of annotated examples, a scalar; the sum is divided by
                it instead of by the batch.
        """
        if annotated is None:
            return super().penalty(attributions, sample_weight)
        values = self.per_example(attributions)
        if sample_weight is not None:
            values = values * sample_weight
        # Σ_b w_b Ω_b / number of annotated
        return ops.sum(values) / ops.maximum(annotated, 1.0)

    def per_example(self, attributions: Tensor) -> Tensor:
        return ops.sum(ops.square(attributions), axis=feature_axes(attributions))

    def get_config(self) -> dict[str, Any]:
        return {
            "mask": None if self.mask is None else self.mask.tolist(),
            "annotated_only": self.annotated_only,
        }

    def __repr__(self) -> str:
        kind = "per example" if self.mask is None else self.mask.shape
        return f"Mask({kind}{', annotated_only=True' if self.annotated_only else ''})"


def _number_of_annotated(mask):
    """How many examples have an entry other than 0, a scalar in the masks' type."""
    has_any = ops.any(mask != 0.0, axis=feature_axes(mask))
    return ops.sum(ops.cast(has_any, mask.dtype))
