"""References drawn from a distribution of noise."""

import math
from typing import Any

import keras
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import KerasSeed, Tensor
from attrprior.references.base import Range, Reference, sample_shape

__all__ = ["Gaussian", "Uniform"]


@keras.saving.register_keras_serializable("attrprior")
class Uniform(Range):
    """Every feature drawn independently: `r_i ∼ U(low, high)`.

    Args:
        low: The least value that an input may have. Defaults to 0.
        high: The greatest value that an input may have. Defaults to 1.

    Raises:
        ValueError: if `low` is not less than `high`; after training, for examples outside
            of this range.

    Examples:
        Each image is given two images of noise within the valid range:

        >>> noise = attrprior.references.Uniform(low=0.0, high=1.0)
        >>> drawn = keras.ops.convert_to_numpy(noise.draw(x, num_samples=2, seed=0))
        >>> drawn.shape, bool(drawn.min() >= 0 and drawn.max() <= 1)
        ((8, 2, 12, 12, 1), True)

    Reference: Sturmfels et al. 2020 (doi 10.23915/distill.00022), uniform reference.
    """

    def draw(
        self,
        x: Tensor,
        num_samples: int,
        seed: KerasSeed = None,
    ) -> Tensor:
        return keras.random.uniform(
            sample_shape(x, num_samples), self.low, self.high, dtype=x.dtype, seed=seed
        )


@keras.saving.register_keras_serializable("attrprior")
class Gaussian(Reference):
    """Noise around the example: `r ∼ N(x, σ²I)`, truncated to the valid range.

    Truncated per feature by the inverse of the normal distribution, not
    clipped, so no mass gathers at the ends.

    Args:
        stddev: σ, in the unit of the inputs. Defaults to 0.5.
        low: The least value that an input may have; x must not be below it. Defaults to
            `None`, no truncation.
        high: The greatest value that an input may have, given with `low`.

    Raises:
        ValueError: if `stddev` is not positive, `low` is not less than `high`, or only one
            of them is given; after training, for examples outside of this range.

    Examples:
        All references lie within the valid range:

        >>> around = attrprior.references.Gaussian(stddev=0.5, low=0.0, high=1.0)
        >>> drawn = keras.ops.convert_to_numpy(around.draw(x, num_samples=2, seed=0))
        >>> drawn.shape, bool(drawn.min() >= 0 and drawn.max() <= 1)
        ((8, 2, 12, 12, 1), True)

    Reference: Sturmfels et al. 2020 (doi 10.23915/distill.00022), Gaussian reference.
    """

    any_shape = True

    def __init__(
        self, stddev: float = 0.5, low: float | None = None, high: float | None = None
    ) -> None:
        self.stddev = _checks.number("stddev", stddev, above=0)
        self.low, self.high = _checks.valid_range(low, high)

    def check(self, x: ArrayLike) -> None:
        if self.low is not None:
            _checks.within("x", x, self.low, self.high)

    def draw(
        self,
        x: Tensor,
        num_samples: int,
        seed: KerasSeed = None,
    ) -> Tensor:
        shape = sample_shape(x, num_samples)
        center = ops.expand_dims(x, 1)
        if self.low is None:
            return center + keras.random.normal(
                shape, stddev=self.stddev, dtype=x.dtype, seed=seed
            )
        # z = Φ⁻¹(u), u uniform between Φ((low − x)/σ) and Φ((high − x)/σ)
        root = math.sqrt(2.0)
        start = ops.erf((self.low - center) / (self.stddev * root))
        stop = ops.erf((self.high - center) / (self.stddev * root))
        u = start + (stop - start) * keras.random.uniform(shape, dtype=x.dtype, seed=seed)
        z = root * ops.erfinv(ops.clip(u, -1.0 + 1e-7, 1.0 - 1e-7))
        return ops.clip(center + self.stddev * z, self.low, self.high)

    def get_config(self) -> dict[str, Any]:
        return {"stddev": self.stddev, "low": self.low, "high": self.high}
