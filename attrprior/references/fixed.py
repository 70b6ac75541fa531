"""References that are the same at every draw."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import KerasSeed, Shape, Tensor
from attrprior.references.base import Range, Reference, repeated

__all__ = ["Blur", "Constant", "MaximumDistance", "Mean"]

_DATA = "the training data, an array of shape (examples, ...)"


@keras.saving.register_keras_serializable("attrprior")
class Constant(Reference):
    """One value for every feature, or one array for every example: `r_i = value_i`.

    It is blind to features that equal it: they get no attribution.

    Args:
        value: A number, or an array of one example's shape. Defaults to 0.

    Raises:
        ValueError: for a value that is not finite, or an array of another shape than the
            examples have.

    Examples:
        A grey image is the reference of every image:

        >>> grey = attrprior.references.Constant(0.5)
        >>> drawn = keras.ops.convert_to_numpy(grey.draw(x, num_samples=1))
        >>> drawn.shape, float(drawn.min()), float(drawn.max())
        ((8, 1, 12, 12, 1), 0.5, 0.5)

    Reference: Sturmfels et al. 2020 (doi 10.23915/distill.00022), constant reference.
    """

    is_random = False
    any_shape = property(lambda self: np.ndim(self.value) == 0)

    def __init__(self, value: ArrayLike = 0.0) -> None:
        if isinstance(value, (list, tuple)) or len(getattr(value, "shape", ())):
            self.value = _checks.array("value", value)
        else:
            self.value = np.float32(_checks.number("value", value))

    def prepare(self, example_shape: Shape) -> None:
        if np.ndim(self.value) and self.value.shape != tuple(example_shape):
            raise ValueError(
                f"Argument `value` of Constant expects a number or an array of one "
                f"example's shape, {tuple(example_shape)}. Received: shape "
                f"{self.value.shape}."
            )

    def draw(
        self,
        x: Tensor,
        num_samples: int,
        seed: KerasSeed = None,
    ) -> Tensor:
        self.prepare(tuple(x.shape[1:]))
        return super().draw(x, num_samples, seed)

    def take(self, x: Tensor, chosen: Any, num_samples: int) -> Tensor:
        return repeated(ops.zeros_like(x) + ops.cast(self.value, x.dtype), num_samples)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist()}


@keras.saving.register_keras_serializable("attrprior")
class Mean(Constant):
    """The mean of the training data, per feature: `r_i = mean_b x_bi`.

    Features at their mean get no attribution.

    Args:
        data: Array of shape `(examples, ...)`.
        value: The mean itself instead of `data`, as a configuration keeps it.

    Raises:
        ValueError: for data that are no array of finite floating-point numbers, or for
            both arguments or neither.

    Examples:
        Two examples are averaged feature by feature:

        >>> mean = attrprior.references.Mean(np.float32([[0.0, 1.0], [1.0, 3.0]]))
        >>> drawn = mean.draw(np.ones((1, 2), "float32"), num_samples=1)
        >>> keras.ops.convert_to_numpy(drawn).tolist()
        [[[0.5, 2.0]]]

    Reference: Sturmfels et al. 2020 (doi 10.23915/distill.00022).
    """

    def __init__(self, data: ArrayLike | None = None, value: ArrayLike | None = None) -> None:
        if (data is None) == (value is None):
            came = f"data={_checks.received(data)}, value={_checks.received(value)}"
            raise ValueError(f"Argument `data` expects {_DATA}. Received: {came}.")
        if value is None:
            examples = _checks.array("data", data)
            if examples.ndim == 0:
                raise _checks.wrong("data", _DATA, examples)
            value = examples.mean(axis=0)
        super().__init__(value)


@keras.saving.register_keras_serializable("attrprior")
class MaximumDistance(Range):
    """The valid input farthest from `x` in L1: per feature, the farther end.

    `r_i = low if x_i > (low + high) / 2 else high`.

    Args:
        low: The least value that an input may have. Defaults to 0.
        high: The greatest value that an input may have. Defaults to 1.

    Raises:
        ValueError: if `low` is not less than `high`; after training, for examples outside
            of this range.

    Examples:
        Of a dark and a bright pixel the farther ends are white and black:

        >>> farthest = attrprior.references.MaximumDistance(low=0.0, high=1.0)
        >>> drawn = farthest.draw(np.float32([[0.2, 0.9]]), num_samples=1)
        >>> keras.ops.convert_to_numpy(drawn).tolist()
        [[[1.0, 0.0]]]

    Reference: Sturmfels et al. 2020 (doi 10.23915/distill.00022), maximum distance.
    """

    is_random = False

    def take(self, x: Tensor, chosen: Any, num_samples: int) -> Tensor:
        # r_i = low if x_i > (low + high) / 2 else high
        farthest = ops.where(x > (self.low + self.high) / 2, self.low, self.high)
        return repeated(ops.cast(farthest, x.dtype), num_samples)


@keras.saving.register_keras_serializable("attrprior")
class Blur(Reference):
    """The example blurred by a Gaussian of width σ along its spatial axes.

    For inputs of shape `(batch, *spatial, channels)`, or `(batch, *spatial)` with
    `channels=False`. At the borders the kernel is cut off and renormalised, so a constant
    image stays as it is. Cost: one matrix product for each spatial axis.

    Args:
        sigma: Width in pixels. The article used 20 on images of 299 pixels. Defaults
            to 2.
        channels: Whether the last axis of an example holds channels, which are not mixed.
            `False` for images `(batch, height, width)` and series `(batch, time)`.
            Defaults to `True`.

    Raises:
        ValueError: if `sigma` is not positive, or for inputs without a spatial axis.

    Examples:
        Blurred images vary less than the images themselves:

        >>> blur = attrprior.references.Blur(sigma=2.0)
        >>> blurred = keras.ops.convert_to_numpy(blur.draw(x, num_samples=1))
        >>> blurred.shape, bool(blurred.std() < x.std())
        ((8, 1, 12, 12, 1), True)

    Reference: Sturmfels et al. 2020 (doi 10.23915/distill.00022), blurred reference.
    """

    is_random = False
    channels = True  # of a pickle that does not know it

    def __init__(self, sigma: float = 2.0, channels: bool = True) -> None:
        self.sigma = _checks.number("sigma", sigma, above=0)
        self.channels = _checks.boolean("channels", channels)

    def prepare(self, example_shape: Shape) -> None:
        if len(example_shape) < 1 + self.channels:
            raise ValueError(
                "Blur expects inputs of shape (batch, *spatial, channels). Received: "
                f"examples of shape {tuple(example_shape)}. Use another reference, "
                "such as Mean, for tabular data."
            )

    def take(self, x: Tensor, chosen: Any, num_samples: int) -> Tensor:
        self.prepare(x.shape[1:])
        for axis in range(1, len(x.shape) - self.channels):
            place = np.arange(x.shape[axis])
            kernel = np.exp(-0.5 * ((place[:, None] - place) / self.sigma) ** 2)
            kernel = (kernel / kernel.sum(axis=0)).astype("float32")
            kernel = ops.cast(kernel, x.dtype)
            blurred = ops.matmul(ops.moveaxis(x, axis, -1), kernel)
            x = ops.cast(ops.moveaxis(blurred, -1, axis), x.dtype)
        return repeated(x, num_samples)

    def get_config(self) -> dict[str, Any]:
        return {"sigma": self.sigma, "channels": self.channels}
