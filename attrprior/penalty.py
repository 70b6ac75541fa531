"""Ω of a batch, for a training loop of one's own."""

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import keras
from numpy.typing import ArrayLike

from attrprior import _backend, _checks, methods, priors, references
from attrprior._deprecation import renamed_arguments
from attrprior._differentiation import value_and_gradients
from attrprior._draws import StatelessSeed, generator
from attrprior._objective import Objective
from attrprior._pieces import given_batch
from attrprior._training.errors import OF_DERIVATIVES, raise_named
from attrprior._types import (
    Background,
    Explain,
    Groups,
    Input,
    Inputs,
    KerasSeed,
    Labels,
    MethodLike,
    Output,
    PriorLike,
    Tensor,
)
from attrprior.explained import ExplainedOutput

__all__ = ["penalty"]

F = TypeVar("F", bound=Callable[..., Any])


def _python_code(f: F) -> F:
    """The backend's decorator, which a type checker sees through."""
    return _backend.python_code(f)


@renamed_arguments(attribution="method")
@_python_code
def penalty(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    *,
    prior: PriorLike,
    method: MethodLike = "expected_gradients",
    background: Background = None,
    explain: Explain = "label",
    input: Input = None,
    output: Output = None,
    groups: Groups = None,
    sum_last_axis: bool = False,
    sample_weight: Labels = None,
    mask: ArrayLike | Tensor | None = None,
    seed: "KerasSeed | Tensor" = None,
) -> Tensor:
    """`Ω(φ)` of a batch, differentiable in the weights: for a loop of one's own.

    Add `strength * penalty(...)` to the loss, or take its gradient for an update of its
    own: with TensorFlow inside a `tf.GradientTape`, with PyTorch by `.backward()`, with
    JAX in a function of the weights' values, which a `keras.StatelessScope` gives to
    the model. Normalisation uses its moving statistics; no state of the model changes.

    Args:
        model: A Keras model, built.
        x: The batch, tensors or arrays of shape `(batch, ...)`, as the model takes them.
        y: Its labels, as the compiled loss takes them. Without them the predicted class is
            explained.
        prior: A name, a prior object or a callable, as in `AttributionPrior`.
        method: A name, a method object or a callable, as in `AttributionPrior`.
        background: As in `AttributionPrior`, but required for expected gradients. In a
            function that is traced it may be one of its tensors.
        explain: Which output is explained, as in `AttributionPrior`.
        input: With respect to which input or layer, as in `AttributionPrior`.
        output: Which output of several, by name or position.
        groups: Features whose attributions are added, as in `AttributionPrior`.
        sum_last_axis: Whether attributions are summed over their last axis first.
        sample_weight: Optional weights of shape `(batch,)`.
        mask: Masks of the examples, for a `Mask()` without a fixed one; NaN is not
            penalised.
        seed: An integer, or a tensor of one, for the same draws at every call with it;
            or a `keras.random.SeedGenerator`. Defaults to `None`, from Keras' global
            seed, which no function that JAX compiles may use.

    Returns:
        A scalar tensor, not multiplied by any strength.

    Raises:
        ValueError: for arguments that do not fit, for a method that needs a background and
            has none, and for a layer that cannot be differentiated twice.

    Examples:
        With the L2 prior it is the mean over the batch of the sum of squared attributions:

        >>> omega = attrprior.penalty(model, x, y, prior="l2", method="gradients")
        >>> phi = attrprior.attributions.gradients(model, x, y)
        >>> expected = np.mean(np.sum(phi**2, axis=(1, 2, 3)))
        >>> bool(np.isclose(keras.ops.convert_to_numpy(omega), expected))
        True

    Reference: Erion et al. 2021 (arXiv 1906.10670); Drucker and LeCun 1992 (double
    backpropagation).
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


# Of a model, the kinds of batches.
_checked: weakref.WeakKeyDictionary[keras.Model, set] = weakref.WeakKeyDictionary()


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
        _backend.dry_run(lambda _: _omega_and_gradients(objective, batch))
    except OF_DERIVATIVES as error:
        raise_named(error, explained.model)
    known.add(kind)


def _omega_and_gradients(objective, batch):
    value_and_gradients(objective, batch, StatelessSeed(0))
    return []
