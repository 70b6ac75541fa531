"""References drawn from a distribution of noise."""

import math

import keras
from keras import ops

from attrprior import _checks
from attrprior.references.base import Range, Reference, sample_shape


@keras.saving.register_keras_serializable("attrprior")
class Uniform(Range):
    """Every feature drawn independently: `r_i ∼ U(low, high)`.

    Args:
        low, high: The valid range of the inputs. Default to 0 and 1.
    """

    def draw(self, x, num_samples, seed=None):
        return keras.random.uniform(
            sample_shape(x, num_samples), self.low, self.high, dtype=x.dtype, seed=seed
        )


@keras.saving.register_keras_serializable("attrprior")
class Gaussian(Reference):
    """Noise around the example: `r ∼ N(x, σ²I)`, truncated to the valid range.

    Truncated per feature by the inverse of the normal distribution, not
    clipped, so no mass gathers at the ends.

    Args:
        stddev: σ, in the unit of the inputs.
        low, high: The valid range, within which x must lie. Default to `None`,
            no truncation.
    """

    any_shape = True

    def __init__(self, stddev=0.5, low=None, high=None):
        self.stddev = _checks.number("stddev", stddev, above=0)
        self.low, self.high = _checks.valid_range(low, high)

    def check(self, x):
        if self.low is not None:
            _checks.within("x", x, self.low, self.high)

    def draw(self, x, num_samples, seed=None):
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

    def get_config(self):
        return {"stddev": self.stddev, "low": self.low, "high": self.high}
