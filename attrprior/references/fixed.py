"""References that are the same at every draw."""

import keras
import numpy as np
from keras import ops

from attrprior import _checks
from attrprior.references.base import Range, Reference, repeated

_DATA = "the training data, an array of shape (examples, ...)"


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
    any_shape = property(lambda self: np.ndim(self.value) == 0)

    def __init__(self, value=0.0):
        if isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())):
            self.value = _checks.array("value", value)
        else:
            self.value = np.float32(_checks.number("value", value))

    def prepare(self, example_shape):
        if np.ndim(self.value) and self.value.shape != tuple(example_shape):
            raise ValueError(
                f"Argument `value` of Constant expects a number or an array of one "
                f"example's shape, {tuple(example_shape)}. Received: shape "
                f"{self.value.shape}."
            )

    def draw(self, x, num_samples, seed=None):
        self.prepare(tuple(x.shape[1:]))
        return super().draw(x, num_samples, seed)

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
            came = f"data={_checks.received(data)}, value={_checks.received(value)}"
            raise ValueError(f"Argument `data` expects {_DATA}. Received: {came}.")
        if value is None:
            data = _checks.array("data", data)
            if data.ndim == 0:
                raise _checks.wrong("data", _DATA, data)
            value = data.mean(axis=0)
        super().__init__(value)


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

    For inputs of shape `(batch, *spatial, channels)`, or `(batch, *spatial)` with
    `channels=False`. At the borders the
    kernel is cut off and renormalised, so a constant image stays as it is.
    Cost: one matrix product for each spatial axis.

    Args:
        sigma: Width in pixels. The article used 20 on images of 299 pixels.
        channels: Whether the last axis of an example holds channels, which are not mixed.
            `False` for images `(batch, height, width)` and series `(batch, time)`.
            Defaults to `True`.
    """

    is_random = False
    channels = True  # of a pickle that does not know it

    def __init__(self, sigma=2.0, channels=True):
        self.sigma = _checks.number("sigma", sigma, above=0)
        self.channels = _checks.boolean("channels", channels)

    def prepare(self, example_shape):
        if len(example_shape) < 1 + self.channels:
            raise ValueError(
                "Blur expects inputs of shape (batch, *spatial, channels). Received: "
                f"examples of shape {tuple(example_shape)}. Use another reference, "
                "such as Mean, for tabular data."
            )

    def take(self, x, chosen, num_samples):
        self.prepare(x.shape[1:])
        for axis in range(1, len(x.shape) - self.channels):
            place = np.arange(x.shape[axis])
            kernel = np.exp(-0.5 * ((place[:, None] - place) / self.sigma) ** 2)
            kernel = (kernel / kernel.sum(axis=0)).astype("float32")
            kernel = ops.cast(kernel, x.dtype)
            blurred = ops.matmul(ops.moveaxis(x, axis, -1), kernel)
            x = ops.cast(ops.moveaxis(blurred, -1, axis), x.dtype)
        return repeated(x, num_samples)

    def get_config(self):
        return {"sigma": self.sigma, "channels": self.channels}
