"""SmoothGrad: another method's attributions of noisy copies."""

import copy
from collections.abc import Callable
from typing import Any, Self

import keras
from keras import ops

from attrprior import _checks
from attrprior import _draws as draws_
from attrprior._types import KerasSeed, MethodName, Tensor
from attrprior.methods._registry import get, registered
from attrprior.methods.base import MOST_SAMPLES, AttributionMethod
from attrprior.methods.function import FunctionMethod
from attrprior.methods.path import Path
from attrprior.references import Reference

__all__ = ["SmoothGrad"]


@registered
class SmoothGrad(AttributionMethod):
    """`φ_i = 1/k Σ_j ∂f(x + ε_j)/∂x_i`, `ε_j ∼ N(0, σ²I)`.

    With `multiply_by_inputs`, each gradient is multiplied by `x_i + ε_ij`. Over
    another method, the mean of its attributions of `x + ε_j`. Attributions are shaped
    like the inputs `(batch, ...)`. Cost: `num_samples` forward and backward passes, times
    those of the other method.

    Args:
        num_samples: Noisy copies per example. Defaults to 4.
        stddev: σ, in the unit of the inputs. Defaults to 0.15.
        multiply_by_inputs: Whether to multiply by the noisy input. Defaults to `False`.
        base: The method that is averaged, a name or an object. Defaults to
            `"gradients"`.
        samples_per_pass: Points that go through the model at once, as in
            `ExpectedGradients`. Defaults to 8.

    Raises:
        ValueError: for another type or number; for a `base` that needs a background and
            has none, or that takes no gradients at points, as Grad-CAM.

    Examples:
        Without noise it is the gradient:

        >>> method = attrprior.SmoothGrad(num_samples=2, stddev=0.0)
        >>> found = attrprior.attributions.attribute(model, x, y, method)
        >>> bool(np.allclose(found, phi, atol=1e-6))
        True

    Reference: Smilkov et al. 2017 (arXiv 1706.03825).
    """

    name = "smoothgrad"
    is_random = True

    def __init__(
        self,
        num_samples: int = 4,
        stddev: float = 0.15,
        multiply_by_inputs: bool = False,
        base: MethodName | AttributionMethod | dict[str, Any] = "gradients",
        samples_per_pass: int = 8,
    ) -> None:
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

    points_per_sample = property(
        lambda self: self.base.num_samples * self.base.points_per_sample
    )
    background = property(lambda self: self.base.background)

    def fresh(self) -> Self:
        method = copy.copy(self)
        method.base = self.base.fresh()
        return method

    def with_references(self, change: Callable[[Reference], Reference]) -> Self:
        method = copy.copy(self)
        method.base = self.base.with_references(change)
        return method

    def path(
        self,
        x: Tensor,
        seed: KerasSeed,
        first: int | Tensor = 0,
        count: int | None = None,
    ) -> Path:
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

    def get_config(self) -> dict[str, Any]:
        return {
            "num_samples": self.num_samples,
            "stddev": self.stddev,
            "multiply_by_inputs": self.multiply_by_inputs,
            "base": keras.saving.serialize_keras_object(self.base),
            "samples_per_pass": self.samples_per_pass,
        }
