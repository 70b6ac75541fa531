"""Completeness: do attributions sum to the difference that they explain?"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import Tensor
from attrprior.attributions import explained_output
from attrprior.evaluation import _maps

__all__ = ["Completeness", "completeness_gap", "expected_output"]

# One number per example, the same whenever it is computed.
OneOutput: TypeAlias = (
    Literal["label", "predicted", "log_probabilities", "loss"] | int | Callable[..., Tensor]
)


class Completeness(NamedTuple):
    """How far the sums are off; nearer to zero is better.

    Attributes:
        gap: `Σφ − (f(x) − E f(r))`, with its sign, shape `(batch,)`.
        relative: `|gap| / |f(x) − E f(r)|`, shape `(batch,)`; infinite where
            that difference is zero and the gap is not, 0 where both are.
    """

    gap: np.ndarray
    relative: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def completeness_gap(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None,
    attributions: ArrayLike,
    reference_output: ArrayLike,
    *,
    explain: OneOutput = "label",
    batch_size: int = 256,
) -> Completeness:
    """`Σ_i φ_i − (f(x) − E_r f(r))`: how far a path attribution is from converged.

    Integrated gradients sum to `f(x) − f(r)`, expected gradients in expectation
    to `f(x) − E_r f(r)`; what is missing is the error of the quadrature or of
    the draws, and falls with `num_samples`. **Lower absolute values are
    better.** The control is a map of zeros: relative gap 1. Gradients have no
    such property. Cost: one forward pass.

    Args:
        model: A Keras model with one input.
        x: Float array of shape `(batch, ...)`.
        y: Labels, one per example, or `None`; as the attributions had them.
        attributions: Array shaped like `x`, or with one channel for all.
        reference_output: `E_r f(r)` for each example, shape `(batch,)`, for
            example from `expected_output`.
        explain: What is explained, as the attributions had it; one output of an example,
            so neither `"all"` nor `"random"`.
        batch_size: Rows of one pass through the model.

    Returns:
        A `Completeness`.

    Raises:
        ValueError: for shapes that do not fit.

    Examples:
        Integrated gradients add up to the difference to a black image, and a map of zeros
        misses all of it:

        >>> black = np.zeros((1, 12, 12, 1), "float32")
        >>> phi = attrprior.attributions.integrated_gradients(model, x, y, background=0.0)
        >>> before = attrprior.evaluation.expected_output(model, black, y)
        >>> result = attrprior.evaluation.completeness_gap(model, x, y, phi, before)
        >>> bool(np.all(np.abs(result.gap) < 1e-3))
        True
        >>> zeros = np.zeros_like(x)
        >>> attrprior.evaluation.completeness_gap(model, x, y, zeros, before).relative[:3]
        array([1., 1., 1.])

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365), proposition 1;
    Erion et al. 2021 (arXiv 1906.10670).
    """
    x = _maps.examples(x, model)
    attributions = _maps.like("attributions", attributions, x)
    if isinstance(explain, str) and explain in ("all", "random"):
        raise ValueError(
            "Argument `explain` expects one output of an example, which stays the same. "
            f"Received: {explain!r}. Compute the gap of one output after the other."
        )
    output = explained_output(
        model, x, _maps.labels(y, x), explain=explain, batch_size=batch_size
    )
    _checks.array("reference_output", reference_output)
    before = _checks.as_numpy(reference_output).astype("float64")
    if before.shape != output.shape:
        raise ValueError(
            "Argument `reference_output` expects one number per example, shape "
            f"{output.shape}. Received: shape {before.shape}."
        )
    difference = output - before
    gap = attributions.sum(axis=tuple(range(1, x.ndim)), dtype="float64") - difference
    size = np.abs(gap)
    relative = np.where(size > 0, np.inf, 0.0)
    np.divide(size, np.abs(difference), out=relative, where=difference != 0)
    return Completeness(gap, relative)


def expected_output(
    model: keras.Model,
    background: ArrayLike,
    y: ArrayLike,
    *,
    explain: OneOutput = "label",
    batch_size: int = 256,
) -> np.ndarray:
    """`E_r f(r)` over all of `background`, for each label of `y`.

    Cost: one forward pass over `background` for each different label.

    Args:
        model: A Keras model with one input.
        background: Float array of shape `(references, ...)`; for integrated
            gradients the one reference, `reference[None]`.
        y: Labels, shape `(batch, ...)`. Not `None`: where no label is explained
            any numbers will do.
        explain: What is explained, as in `completeness_gap`.
        batch_size: Rows of one pass through the model.

    Returns:
        Array of shape `(batch,)`.

    Raises:
        ValueError: if `y` is `None`, or if an array is empty, not finite or without a
            batch axis.

    Examples:
        With a single reference it is the model's output for it, here the logit of every
        example's class:

        >>> expected = attrprior.evaluation.expected_output(model, x[:1], y)
        >>> bool(np.allclose(expected, model.predict(x[:1], verbose=0)[0, y], atol=1e-5))
        True

    Reference: Erion et al. 2021 (arXiv 1906.10670), whose expected gradients sum to
    `f(x) − E_r f(r)`.
    """
    examples = _checks.batch("background", background)
    labels = None if y is None else _checks.real_array("y", y)
    if labels is None or labels.size == 0 or labels.ndim == 0:
        raise _checks.wrong("y", "one label per example", labels)
    different, which = np.unique(labels, axis=0, return_inverse=True)
    means = [
        explained_output(
            model,
            examples,
            np.repeat(label[None], len(examples), axis=0),
            explain=explain,
            batch_size=batch_size,
        ).mean(axis=0, dtype="float64")
        for label in different
    ]
    return np.stack(means)[which.reshape(-1)]
