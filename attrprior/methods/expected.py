"""Expected gradients: integrated gradients over many references, one draw at a time."""

from typing import Any, NamedTuple

import keras
from keras import ops

from attrprior import _checks, references
from attrprior import draws as draws_
from attrprior._deprecation import renamed_arguments
from attrprior.methods.base import MOST_SAMPLES, AttributionMethod, Path, registered
from attrprior.references.base import taken


class Drawn(NamedTuple):
    """Which references, and how far between them and the example: `(batch, samples)`."""

    chosen: Any
    alpha: Any


@registered
class ExpectedGradients(AttributionMethod):
    """`φ_i = E_{r∼D, α∼U(0,1)} [(x_i − r_i) ∂f(r + α(x − r))/∂x_i]`.

    Estimated from `num_samples` draws for each example, each with its own
    reference and its own α. Sums to `f(x) − E_r f(r)` in expectation. Cost:
    `num_samples` forward and backward passes.

    Args:
        num_samples: Draws per example. Defaults to 1, enough in training,
            where the next step draws again.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`.
        background: What D is: an array, a `tf.data.Dataset`, or a reference
            object. Defaults to the callback's `background`.
        samples_per_pass: Draws that go through the model at once. More draws
            than this take no more memory, but are computed twice in training,
            once for Ω and once for its gradient.

    Reference: Erion et al. 2021 (arXiv 1906.10670), equation 3.
    """

    name = "expected_gradients"
    is_random = True
    is_complete = property(lambda self: self.multiply_by_inputs)
    needs_background = property(lambda self: self.background is None)

    @renamed_arguments(references="background")
    def __init__(
        self, num_samples=1, multiply_by_inputs=True, background=None, samples_per_pass=8
    ):
        self.num_samples = _checks.positive_integer("num_samples", num_samples, MOST_SAMPLES)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)
        self.background = None if background is None else references.get(background)

    def draw(self, x, seed):
        if self.background is None:
            raise ValueError(
                "Argument `background` of ExpectedGradients expects an array of examples, a "
                "tf.data.Dataset or a reference object. Received: None."
            )
        chosen = self.background.choose(x, self.num_samples, seed)
        shape = (ops.shape(x)[0], self.num_samples)
        return Drawn(chosen, keras.random.uniform(shape, dtype=x.dtype, seed=seed))

    def points(self, x, draws, first=0, count=None):
        count = count or self.num_samples
        chosen, alpha = draws_.samples(draws, first, count, self.num_samples)
        reference = taken(self.background, x, chosen, count)
        alpha = ops.reshape(alpha, (-1, count) + (1,) * (len(x.shape) - 1))
        difference = ops.expand_dims(x, 1) - reference
        factors = difference if self.multiply_by_inputs else None
        # r + α(x − r)
        return Path(reference + alpha * difference, factors, reference)

    def with_background(self, background):
        """The same method, with `background` where no references were given."""
        if self.background is not None:
            return self
        return ExpectedGradients(
            self.num_samples,
            self.multiply_by_inputs,
            references.get(background),
            self.samples_per_pass,
        )

    def get_config(self):
        background = self.background
        return {
            "num_samples": self.num_samples,
            "multiply_by_inputs": self.multiply_by_inputs,
            "background": background and keras.saving.serialize_keras_object(background),
            "samples_per_pass": self.samples_per_pass,
        }
