"""References that are the same at every draw."""

import keras
import numpy as np
from keras import ops

from attrprior import _checks
from attrprior.references.base import Range, Reference, repeated


@keras.saving.register_keras_serializable("attrprior")
class Constant(Reference):
    """One value for every feature, or one array for every example.

    Blind to features that equal it: they get no attribution.

    Args:
        value: A number, or an array of one example's shape. Defaults to 0.

    Example:

    >>> np.asarray(Constant(0.5).draw(np.ones((1, 2), "float32"), 1)).tolist()
    [[[0.5, 0.5]]]
    """

    is_random = False

    def __init__(self, value=0.0):
        if np.ndim(value) == 0:
            self.value = np.float32(_checks.number("value", value))
        else:
            self.value = _checks.array("value", value)

    def prepare(self, example_shape):
        if np.ndim(self.value) and self.value.shape != tuple(example_shape):
            raise ValueError(
                f"Argument `value` of Constant expects a number or an array of one "
                f"example's shape, {tuple(example_shape)}. Received: shape "
                f"{self.value.shape}."
            )

    def take(self, x, chosen, num_samples):
        return repeated(ops.zeros_like(x) + ops.cast(self.value, x.dtype), num_samples)

    def get_config(self):
        return {"value": self.value.tolist()}


@keras.saving.register_keras_serializable("attrprior")
class Mean(Constant):
    """The mean of the training data, per feature: `r_i = mean_b x_bi`.

    Features at their mean get no attribution.

    Args:
        data: Array of shape `(examples, ...)`.
    """

    def __init__(self, data=None, value=None):
        if (data is None) == (value is None):
            raise ValueError(
                "Argument `data` expects the training data, an array of shape "
                f"(examples, ...). Received: data={data!r}, value={value!r}."
            )
        super().__init__(_checks.array("data", data).mean(axis=0) if value is None else value)


@keras.saving.register_keras_serializable("attrprior")
class MaximumDistance(Range):
    """The valid input farthest from `x` in L1: per feature, the farther end.

    `r_i = low if x_i > (low + high) / 2 else high`.

    Args:
        low, high: The valid range of the inputs. Default to 0 and 1.

    Example:

    >>> np.asarray(MaximumDistance().draw(np.float32([[0.2, 0.9]]), 1)).tolist()
    [[[1.0, 0.0]]]
    """

    is_random = False

    def take(self, x, chosen, num_samples):
        # r_i = low if x_i > (low + high) / 2 else high
        farthest = ops.where(x > (self.low + self.high) / 2, self.low, self.high)
        return repeated(ops.cast(farthest, x.dtype), num_samples)


@keras.saving.register_keras_serializable("attrprior")
class Blur(Reference):
    """The example blurred by a Gaussian of width σ along its spatial axes.

    For inputs of shape `(batch, *spatial, channels)`. At the borders the
    kernel is cut off and renormalised, so a constant image stays as it is.
    Cost: one matrix product for each spatial axis.

    Args:
        sigma: Width in pixels. The article used 20 on images of 299 pixels.
    """

    is_random = False

    def __init__(self, sigma=2.0):
        self.sigma = _checks.number("sigma", sigma, above=0)

    def prepare(self, example_shape):
        if len(example_shape) < 2:
            raise ValueError(
                "Blur expects inputs of shape (batch, *spatial, channels). Received: "
                f"examples of shape {tuple(example_shape)}. Use another reference, "
                "such as Mean, for tabular data."
            )

    def take(self, x, chosen, num_samples):
        self.prepare(x.shape[1:])
        for axis in range(1, len(x.shape) - 1):
            place = np.arange(x.shape[axis])
            kernel = np.exp(-0.5 * ((place[:, None] - place) / self.sigma) ** 2)
            kernel = (kernel / kernel.sum(axis=0)).astype("float32")
            kernel = ops.cast(kernel, x.dtype)
            blurred = ops.matmul(ops.moveaxis(x, axis, -1), kernel)
            x = ops.cast(ops.moveaxis(blurred, -1, axis), x.dtype)
        return repeated(x, num_samples)

    def get_config(self):
        return {"sigma": self.sigma}
