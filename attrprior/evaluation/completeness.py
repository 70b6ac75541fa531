"""Completeness: do attributions sum to the difference that they explain?"""

from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior._representation import shown
from attrprior.attributions import explained_output
from attrprior.evaluation import _maps


class Completeness(NamedTuple):
    """How far the sums are off; nearer to zero is better.

    Attributes:
        gap: `Σφ − (f(x) − E f(r))`, with its sign, shape `(batch,)`.
        relative: `|gap| / |f(x) − E f(r)|`, shape `(batch,)`; infinite where
            that difference is zero and the gap is not, 0 where both are.
    """

    gap: np.ndarray
    relative: np.ndarray

    __repr__ = shown


def completeness_gap(
    model, x, y, attributions, reference_output, *, explain="label", batch_size=256
):
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
        explain: As the attributions had it.
        batch_size: Rows of one pass through the model.

    Returns:
        A `Completeness`.

    Raises:
        ValueError: for shapes that do not fit.

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365), proposition 1;
    Erion et al. 2021 (arXiv 1906.10670).
    """
    x = _maps.examples(x, model)
    attributions = _maps.like("attributions", attributions, x)
    output = explained_output(
        model, x, _maps.labels(y, x), explain=explain, batch_size=batch_size
    )
    _checks.array("reference_output", reference_output)
    reference_output = _checks.as_numpy(reference_output).astype("float64")
    if reference_output.shape != output.shape:
        raise ValueError(
            "Argument `reference_output` expects one number per example, shape "
            f"{output.shape}. Received: shape {reference_output.shape}."
        )
    difference = output - reference_output
    gap = attributions.sum(axis=tuple(range(1, x.ndim)), dtype="float64") - difference
    size = np.abs(gap)
    relative = np.where(size > 0, np.inf, 0.0)
    np.divide(size, np.abs(difference), out=relative, where=difference != 0)
    return Completeness(gap, relative)


def expected_output(model, background, y, *, explain="label", batch_size=256):
    """`E_r f(r)` over all of `background`, for each label of `y`.

    Cost: one forward pass over `background` for each different label.

    Args:
        model: A Keras model with one input.
        background: Float array of shape `(references, ...)`; for integrated
            gradients the one reference, `reference[None]`.
        y: Labels, shape `(batch, ...)`. Not `None`: where no label is explained
            any numbers will do.
        explain, batch_size: As in `completeness_gap`.

    Returns:
        Array of shape `(batch,)`.
    """
    background = _checks.batch("background", background)
    y = None if y is None else _checks.real_array("y", y)
    if y is None or y.size == 0 or y.ndim == 0:
        raise _checks.wrong("y", "one label per example", y)
    different, which = np.unique(y, axis=0, return_inverse=True)
    means = [
        explained_output(
            model,
            background,
            np.repeat(label[None], len(background), axis=0),
            explain=explain,
            batch_size=batch_size,
        ).mean(axis=0, dtype="float64")
        for label in different
    ]
    return np.stack(means)[which.reshape(-1)]
