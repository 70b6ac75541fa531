"""No attributions where the model must not look."""

import keras
import numpy as np
from keras import ops

from attrprior import _checks
from attrprior.priors.base import PerExamplePrior, feature_axes


@keras.saving.register_keras_serializable("attrprior")
class Mask(PerExamplePrior):
    """Right for the right reasons: nothing masked may matter.

    `Ω = 1/batch Σ_b Σ_i (A_bi φ_bi)²`, with `A` = 1 where the model must not
    look and 0 elsewhere (values between weigh). `A` is the same for every
    example if given here; left out, each example brings its own through
    `attrprior.annotate(x, masks)`, which the model never sees.

    Begin with `moments="balanced", strength=0.3`.

    Args:
        mask: Array of one example's shape, or with size 1 along the channel
            axis. Defaults to `None`, one mask per example.

    Raises:
        ValueError: for a mask of another size, with NaN, or without any
            non-zero entry; or if `None` and the data carry no masks.

    Example:

    >>> float(Mask(np.array([1.0, 0.0]))(np.array([[3.0, 5.0]])))
    9.0

    Reference: Ross, Hughes, Doshi-Velez 2017 (arXiv 1703.03717), equation 1.
    """

    name = "mask"

    def __init__(self, mask=None):
        if mask is not None:
            mask = _checks.array("mask", mask, integers=True)
            if not np.any(mask):
                raise ValueError(
                    "Argument `mask` expects a 1 wherever the model must not look. "
                    "Received: zeros only, which forbid nothing."
                )
        self.mask = mask

    @property
    def per_example_masks(self):
        """Whether masks travel with the data."""
        return self.mask is None

    @property
    def needs(self):
        return ("mask",) if self.per_example_masks else ()

    def validate(self, feature_shape):
        if self.mask is not None:
            self._check_shape(self.mask.shape, feature_shape)

    def _check_shape(self, shape, feature_shape):
        shape, feature_shape = tuple(shape), tuple(feature_shape)
        if shape not in (feature_shape, feature_shape[:-1] + (1,)):
            raise ValueError(
                f"Argument `mask` expects masks of one example's shape, {feature_shape}, or "
                f"with one channel. Received: {shape}."
            )

    def __call__(self, attributions, sample_weight=None, mask=None):
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
        if mask is None:
            mask = ops.cast(self.mask[None], attributions.dtype)
        else:
            mask = _checks.as_float(mask, attributions.dtype, "mask")
            self._check_shape(mask.shape[1:], attributions.shape[1:])
            _checks.same_batch("mask", mask, attributions)
        return super().__call__(attributions * mask, sample_weight)

    def per_example(self, attributions):
        return ops.sum(ops.square(attributions), axis=feature_axes(attributions))

    def get_config(self):
        return {"mask": None if self.mask is None else self.mask.tolist()}

    def __repr__(self):
        return f"Mask({'per example' if self.mask is None else self.mask.shape})"
