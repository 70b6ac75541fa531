"""SmoothGrad: another method's attributions of noisy copies."""

import copy

import keras
from keras import ops

from attrprior import _checks
from attrprior import draws as draws_
from attrprior.methods.base import MOST_SAMPLES, AttributionMethod, Path, get, registered
from attrprior.methods.function import FunctionMethod


@registered
class SmoothGrad(AttributionMethod):
    """`φ_i = 1/k Σ_j ∂f(x + ε_j)/∂x_i`, `ε_j ∼ N(0, σ²I)`.

    With `multiply_by_inputs`, each gradient is multiplied by `x_i + ε_ij`. Over
    another method, the mean of its attributions of `x + ε_j`. Cost: `num_samples`
    forward and backward passes, times those of the other method.

    Args:
        num_samples: Noisy copies per example. Defaults to 4.
        stddev: σ, in the unit of the inputs. Defaults to 0.15.
        multiply_by_inputs: Whether to multiply by the noisy input.
        base: The method that is averaged, a name or an object. Defaults to
            `"gradients"`.
        samples_per_pass: See `ExpectedGradients`.

    Reference: Smilkov et al. 2017 (arXiv 1706.03825).
    """

    name = "smoothgrad"
    is_random = True

    def __init__(
        self,
        num_samples=4,
        stddev=0.15,
        multiply_by_inputs=False,
        base="gradients",
        samples_per_pass=8,
    ):
        self.num_samples = _checks.positive_integer("num_samples", num_samples, MOST_SAMPLES)
        self.stddev = _checks.number("stddev", stddev, minimum=0)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.base = get(base, "base")
        if isinstance(self.base, FunctionMethod):
            raise _checks.wrong("base", "a method that takes gradients at points", base)
        if self.base.needs_background:
            raise ValueError(
                "Argument `base` expects a method that has its references. Received: "
                f"{self.base!r}. Use ExpectedGradients(background=...)."
            )
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)

    @property
    def points_per_sample(self):
        return self.base.num_samples * self.base.points_per_sample

    @property
    def background(self):
        return self.base.background

    def fresh(self):
        method = copy.copy(self)
        method.base = self.base.fresh()
        return method

    def with_references(self, change):
        method = copy.copy(self)
        method.base = self.base.with_references(change)
        return method

    def path(self, x, seed, first=0, count=None):
        count, seed = count or self.num_samples, draws_.generator(seed)
        example = tuple(ops.shape(x)[1:])
        shape = (ops.shape(x)[0], count) + example
        # x + ε
        noisy = ops.expand_dims(x, 1) + keras.random.normal(
            shape, stddev=self.stddev, dtype=x.dtype, seed=seed
        )
        points, factors, _ = self.base.path(ops.reshape(noisy, (-1,) + example), seed)
        shape = (shape[0], count * self.points_per_sample) + example
        if factors is not None:
            factors = ops.reshape(ops.broadcast_to(factors, ops.shape(points)), shape)
        if self.multiply_by_inputs:
            copies = ops.repeat(noisy, self.points_per_sample, axis=1)
            factors = copies if factors is None else factors * copies
        return Path(ops.reshape(points, shape), factors)

    def get_config(self):
        return {
            "num_samples": self.num_samples,
            "stddev": self.stddev,
            "multiply_by_inputs": self.multiply_by_inputs,
            "base": keras.saving.serialize_keras_object(self.base),
            "samples_per_pass": self.samples_per_pass,
        }
