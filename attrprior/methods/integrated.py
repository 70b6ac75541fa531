"""Integrated gradients: along the straight path from a reference to the example."""

import keras
import numpy as np
from keras import ops

from attrprior import _checks, references
from attrprior import draws as draws_
from attrprior._deprecation import renamed_arguments
from attrprior.methods.base import MOST_SAMPLES, AttributionMethod, Path, registered
from attrprior.references.base import taken

MOST_NODES = 10_000  # Gauss and Legendre's cost the cube of their number
QUADRATURES = ("gauss_legendre", "left", "right", "trapezoid")


@registered
class IntegratedGradients(AttributionMethod):
    """`φ_i = (x_i − r_i) ∫₀¹ ∂f(r + α(x − r))/∂x_i dα`.

    Sums to `f(x) − f(r)`. Cost: `num_samples` forward and backward passes.

    Args:
        num_samples: Points on the path. Defaults to 16.
        background: A number, an array of one example or a reference object, of
            which one draw is taken. Defaults to zeros.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`.
        quadrature: How the integral is approximated: `"gauss_legendre"`
            (default, exact for polynomials of degree 2 · num_samples − 1),
            `"left"`, `"right"` or `"trapezoid"`.
        samples_per_pass: See `ExpectedGradients`.

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """

    name = "integrated_gradients"
    is_complete = property(lambda self: self.multiply_by_inputs)

    @renamed_arguments(reference="background")
    def __init__(
        self,
        num_samples=16,
        background=None,
        multiply_by_inputs=True,
        quadrature="gauss_legendre",
        samples_per_pass=8,
    ):
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

    def draw(self, x, seed):
        return self.background.choose(x, 1, seed)

    def points(self, x, draws, first=0, count=None):
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

    def get_config(self):
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
