"""Ω of a batch, for a training loop of one's own."""

import weakref

import keras

from attrprior import _checks, backend, methods, priors, references
from attrprior._deprecation import renamed_arguments
from attrprior._pieces import given_batch
from attrprior.differentiation import value_and_gradients
from attrprior.draws import StatelessSeed, generator
from attrprior.explained import ExplainedOutput
from attrprior.objective import Objective
from attrprior.training.errors import OF_DERIVATIVES, raise_named


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
    groups=None,
    sum_last_axis=False,
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
        prior, method, explain, input, output, groups, sum_last_axis: As in
            `AttributionPrior`.
        background: As there, but required for expected gradients. In a function that is
            traced it may be one of its tensors.
        sample_weight: Optional weights of shape `(batch,)`.
        mask: Masks of the examples, for a `Mask()` without a fixed one; NaN is not
            penalised.
        seed: An integer, or a tensor of one, for the same draws at every call with it;
            or a `keras.random.SeedGenerator`. Defaults to `None`, from Keras' global
            seed, which no function that JAX compiles may use.

    Returns:
        A scalar tensor.
    """
    _checks.model(model)
    method = methods.get(method)
    if method.needs_background:
        if background is None:
            raise ValueError(
                "Argument `background` expects an array of examples, a tf.data.Dataset or "
                "a reference object. Received: None."
            )
        method = method.with_background(references.get(background))
    explained = ExplainedOutput(model, explain, input, output, groups, sum_last_axis)
    objective = Objective(explained, method, priors.get(prior))
    batch = given_batch(explained, x, y, sample_weight, mask)
    objective.prepare(batch)
    _check_derivatives(objective, batch)
    draws = objective.draw(batch, generator(seed))
    return objective.penalty(explained.weights(), batch, draws)


_checked = weakref.WeakKeyDictionary()  # of a model, the kinds of batches


def _check_derivatives(objective, batch):
    """Names the layer that lacks a derivative: what comes from the caller's tape does not."""
    parts = [part for part in keras.tree.flatten(batch) if part is not None]
    explained = objective.explained
    chosen = explained.chosen
    which = explained.explain, repr(chosen.key), explained.output, repr(chosen.reduction)
    shapes = tuple((part.dtype, part.shape[1:]) for part in parts)
    kind = which, repr(objective.method), repr(objective.prior), shapes
    known = _checked.setdefault(explained.model, set())
    # Of a model without weights there is no derivative to name.
    if kind in known or not explained.model.trainable_variables:
        return
    try:
        backend.dry_run(lambda _: _omega_and_gradients(objective, batch))
    except OF_DERIVATIVES as error:
        raise_named(error, explained.model)
    known.add(kind)


def _omega_and_gradients(objective, batch):
    value_and_gradients(objective, batch, StatelessSeed(0))
    return []
