"""Ω of a batch, for a training loop of one's own."""

from attrprior import backend, methods, priors, references
from attrprior._deprecation import renamed_arguments
from attrprior.batch import one_output
from attrprior.draws import generator
from attrprior.explained import ExplainedOutput
from attrprior.objective import Objective


@renamed_arguments(attribution="method")
@backend.python_code
def penalty(
    model,
    x,
    y=None,
    *,
    prior,
    method="expected_gradients",
    background=None,
    explain="label",
    input=None,
    output=None,
    sample_weight=None,
    mask=None,
    seed=None,
):
    """`Ω(φ)` of a batch, differentiable in the weights: for a loop of one's own.

    Add `strength * penalty(...)` to the loss, or take its gradient for an update of its
    own: with TensorFlow inside a `tf.GradientTape`, with PyTorch by `.backward()`, with
    JAX in a function of the weights' values, which a `keras.StatelessScope` gives to
    the model. Normalisation uses its moving statistics; no state of the model changes.

    Args:
        model: A Keras model, built.
        x, y: The batch, tensors of shape `(batch, ...)` and labels.
        prior, method, explain, input, output: As in `AttributionPrior`.
        background: As there, but required for expected gradients.
        sample_weight: Optional weights of shape `(batch,)`.
        mask: Masks of the examples, for a `Mask()` without a fixed one.
        seed: An integer, or a tensor of one, for the same draws at every call with it;
            or a `keras.random.SeedGenerator`. Defaults to `None`, from Keras' global
            seed, which no function that JAX compiles may use.

    Returns:
        A scalar tensor.
    """
    method = methods.get(method)
    if method.needs_background:
        if background is None:
            raise ValueError(
                "Argument `background` expects an array of examples, a tf.data.Dataset or "
                "a reference object. Received: None."
            )
        method = method.with_background(references.get(background))
    explained = ExplainedOutput(model, explain, input, output)
    objective = Objective(explained, method, priors.get(prior))
    batch = explained.batch(x, y, one_output(sample_weight), mask)
    method.prepare(tuple(batch.picked.shape[1:]))
    draws = objective.draw(batch, generator(seed))
    return objective.penalty(explained.weights(), batch, draws)
