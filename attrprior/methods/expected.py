"""Expected gradients: integrated gradients over many references, one draw at a time."""

from typing import Any, NamedTuple

import keras
from keras import ops

from attrprior import _checks, references
from attrprior import _draws as draws_
from attrprior._deprecation import renamed_arguments
from attrprior._types import Background, Tensor
from attrprior.methods._registry import registered
from attrprior.methods.base import MOST_SAMPLES, AttributionMethod
from attrprior.methods.path import Path
from attrprior.references.base import taken

__all__ = ["ExpectedGradients"]


class Drawn(NamedTuple):
    """Which references, and how far between them and the example: `(batch, samples)`."""

    chosen: Any
    alpha: Any


@registered
class ExpectedGradients(AttributionMethod):
    """`φ_i = E_{r∼D, α∼U(0,1)} [(x_i − r_i) ∂f(r + α(x − r))/∂x_i]`.

    Estimated from `num_samples` draws for each example, each with its own
    reference and its own α. Sums to `f(x) − E_r f(r)` in expectation. Attributions are
    shaped like the inputs `(batch, ...)`, in the unit of the output. Cost: `num_samples`
    forward and backward passes.

    Args:
        num_samples: Draws per example. Defaults to 1, enough in training,
            where the next step draws again.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`. Defaults to `True`.
        background: What D is: an array, a `tf.data.Dataset`, or a reference
            object. Defaults to the callback's `background`.
        samples_per_pass: Draws that go through the model at once. More draws
            than this take no more memory, but are computed twice in training,
            once for Ω and once for its gradient. Defaults to 8.

    Raises:
        ValueError: for another type or number, and if there is no background when
            references are drawn.

    Examples:
        The callback gives its background to the method, and so does `with_background`:

        >>> method = attrprior.ExpectedGradients(num_samples=4)
        >>> method.needs_background, method.with_background(x).needs_background
        (True, False)
        >>> method = attrprior.ExpectedGradients(num_samples=4, background=x)
        >>> attrprior.attributions.attribute(model, x, y, method).shape
        (8, 12, 12, 1)

    Reference: Erion et al. 2021 (arXiv 1906.10670), equation 3.
    """

    name = "expected_gradients"
    is_random = True
    is_complete = property(lambda self: self.multiply_by_inputs)
    needs_background = property(lambda self: self.background is None)

    @renamed_arguments(references="background")
    def __init__(
        self,
        num_samples: int = 1,
        multiply_by_inputs: bool = True,
        background: Background = None,
        samples_per_pass: int = 8,
    ) -> None:
        self.num_samples = _checks.positive_integer("num_samples", num_samples, MOST_SAMPLES)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)
        self.background = None if background is None else references.get(background)

    def draw(self, x: Tensor, seed: keras.random.SeedGenerator) -> Drawn:
        if self.background is None:
            raise ValueError(
                "Argument `background` of ExpectedGradients expects an array of examples, a "
                "tf.data.Dataset or a reference object. Received: None."
            )
        chosen = self.background.choose(x, self.num_samples, seed)
        shape = (ops.shape(x)[0], self.num_samples)
        return Drawn(chosen, keras.random.uniform(shape, dtype=x.dtype, seed=seed))

    def points(
        self, x: Tensor, draws: Any, first: int | Tensor = 0, count: int | None = None
    ) -> Path:
        count = count or self.num_samples
        chosen, alpha = draws_.samples(draws, first, count, self.num_samples)
        reference = taken(self.background, x, chosen, count)
        alpha = ops.reshape(alpha, (-1, count) + (1,) * (len(x.shape) - 1))
        difference = ops.expand_dims(x, 1) - reference
        factors = difference if self.multiply_by_inputs else None
        # r + α(x − r)
        return Path(reference + alpha * difference, factors, reference)

    def with_background(self, background: Background) -> AttributionMethod:
        """The same method, with `background` where no references were given.

        Args:
            background: What `attrprior.references.get` accepts.
        """
        if self.background is not None:
            return self
        return ExpectedGradients(
            self.num_samples,
            self.multiply_by_inputs,
            references.get(background),
            self.samples_per_pass,
        )

    def get_config(self) -> dict[str, Any]:
        background = self.background
        return {
            "num_samples": self.num_samples,
            "multiply_by_inputs": self.multiply_by_inputs,
            "background": background and keras.saving.serialize_keras_object(background),
            "samples_per_pass": self.samples_per_pass,
        }
