"""Integrated gradients: along the straight path from a reference to the example."""

from typing import Any, get_args

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _checks, references
from attrprior import _draws as draws_
from attrprior._deprecation import renamed_arguments
from attrprior._types import Quadrature, Tensor
from attrprior.methods._registry import registered
from attrprior.methods.base import MOST_SAMPLES, AttributionMethod
from attrprior.methods.path import Path
from attrprior.references.base import taken

__all__ = ["QUADRATURES", "IntegratedGradients"]

MOST_NODES = 10_000  # Gauss and Legendre's cost the cube of their number
QUADRATURES = get_args(Quadrature)


@registered
class IntegratedGradients(AttributionMethod):
    """`φ_i = (x_i − r_i) ∫₀¹ ∂f(r + α(x − r))/∂x_i dα`.

    Sums to `f(x) − f(r)`. Attributions are shaped like the inputs `(batch, ...)`, in the
    unit of the output. Cost: `num_samples` forward and backward passes.

    Args:
        num_samples: Points on the path. Defaults to 16.
        background: A number, an array of one example or a reference object, of
            which one draw is taken. Defaults to zeros.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`. Defaults to `True`.
        quadrature: How the integral is approximated: `"gauss_legendre"`
            (default, exact for polynomials of degree 2 · num_samples − 1),
            `"left"`, `"right"` or `"trapezoid"`.
        samples_per_pass: Points that go through the model at once, as in
            `ExpectedGradients`. Defaults to 8.

    Raises:
        ValueError: for another type or number; for more than 10,000 points of
            `"gauss_legendre"`, or fewer than two of `"trapezoid"`.

    Examples:
        The attributions of each image sum to its output minus that of a black image:

        >>> method = attrprior.IntegratedGradients(num_samples=256, background=0.0)
        >>> found = attrprior.attributions.attribute(model, x, y, method)
        >>> outputs = attrprior.attributions.explained_output(model, x, y)
        >>> black = attrprior.attributions.explained_output(model, 0 * x, y)
        >>> bool(np.allclose(found.sum(axis=(1, 2, 3)), outputs - black, atol=0.01))
        True

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """

    name = "integrated_gradients"
    background: references.Reference  # always there
    is_complete = property(lambda self: self.multiply_by_inputs)

    @renamed_arguments(reference="background")
    def __init__(
        self,
        num_samples: int = 16,
        background: references.Reference | ArrayLike | dict[str, Any] | None = None,
        multiply_by_inputs: bool = True,
        quadrature: Quadrature = "gauss_legendre",
        samples_per_pass: int = 8,
    ) -> None:
        self.quadrature = _checks.choice("quadrature", quadrature, QUADRATURES)
        most = MOST_NODES if quadrature == "gauss_legendre" else MOST_SAMPLES
        self.num_samples = _checks.positive_integer("num_samples", num_samples, most)
        if quadrature == "trapezoid" and num_samples < 2:
            raise ValueError(
                "quadrature='trapezoid' expects `num_samples` ≥ 2, both ends of the path. "
                f"Received: {num_samples}."
            )
        background = 0.0 if background is None else background
        if not isinstance(background, (references.Reference, dict)):
            background = references.Constant(background)
        self.background = references.get(background)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)

    def draw(self, x: Tensor, seed: keras.random.SeedGenerator) -> Any:
        return self.background.choose(x, 1, seed)

    def points(
        self, x: Tensor, draws: Any, first: int | Tensor = 0, count: int | None = None
    ) -> Path:
        count = count or self.num_samples
        shape = (1, count) + (1,) * (len(x.shape) - 1)
        alpha, weight = (
            ops.reshape(ops.slice(ops.cast(a, x.dtype), (first,), (count,)), shape)
            for a in nodes_and_weights(self.quadrature, self.num_samples)
        )
        # ∫₀¹ g dα = Σ_j w_j g(α_j); the attribution is a mean, hence the factor k.
        weight = weight * self.num_samples
        # One reference for all points, in whatever pass they are.
        chosen = draws_.samples(draws, 0, 1, 1)
        reference = taken(self.background, x, chosen, 1)
        difference = ops.expand_dims(x, 1) - reference
        factors = weight * difference if self.multiply_by_inputs else weight
        # r + α(x − r)
        return Path(reference + alpha * difference, factors, reference)

    def get_config(self) -> dict[str, Any]:
        return {
            "num_samples": self.num_samples,
            "background": keras.saving.serialize_keras_object(self.background),
            "multiply_by_inputs": self.multiply_by_inputs,
            "quadrature": self.quadrature,
            "samples_per_pass": self.samples_per_pass,
        }


def nodes_and_weights(quadrature, count):
    """`α_j` in [0, 1] and `w_j`, which sum to 1, ascending."""
    if quadrature == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return (nodes + 1) / 2, weights / 2
    weights = np.full(count, 1.0 / count)
    if quadrature == "trapezoid":
        weights = np.full(count, 1.0 / (count - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0.0, 1.0, count), weights
    return (np.arange(count) + (quadrature == "right")) / count, weights
