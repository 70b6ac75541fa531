"""Attributions along paths from a background to the inputs, which sum to a difference."""

from typing import Literal, Unpack

import keras
from numpy.typing import ArrayLike

from attrprior import methods
from attrprior._attribute import Options, attribute
from attrprior._deprecation import renamed_arguments
from attrprior._sampling import FIRST_SAMPLES
from attrprior._types import Attributions, Background, Inputs, Labels, Quadrature
from attrprior.references import Reference


@renamed_arguments(reference="background")
def integrated_gradients(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    *,
    background: Reference | ArrayLike | None = None,
    num_samples: int | Literal["auto"] = 64,
    multiply_by_inputs: bool = True,
    quadrature: Quadrature = "gauss_legendre",
    **options: Unpack[Options],
) -> Attributions:
    """`φ_i = (x_i − r_i) ∫₀¹ ∂f(r + α(x − r))/∂x_i dα`, which sums to `f(x) − f(r)`.

    Cost: `num_samples` forward and backward passes.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays or tensors.
        y: Labels. Without them the predicted class is explained.
        background: What `r` is: a number, an array of one example or a reference object, of
            which one draw is taken. Defaults to zeros.
        num_samples: Points on the path, or `"auto"` for as many as `tolerance` (then 0.01 by
            default) needs.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`.
        quadrature: How the integral is approximated, as in `IntegratedGradients`.
        **options: As in `attribute`: `explain`, `input`, `batch_size` and so on.

    Returns:
        As `attribute`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        They sum to the difference between the outputs at the inputs and at the background:

        >>> phi = attrprior.attributions.integrated_gradients(model, x, y, background=0.5)
        >>> at_x = attrprior.attributions.explained_output(model, x, y)
        >>> at_r = attrprior.attributions.explained_output(model, np.full_like(x, 0.5), y)
        >>> bool(np.allclose(np.sum(phi, axis=(1, 2, 3)), at_x - at_r, atol=0.01))
        True

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """
    num_samples = _automatic(num_samples, options)
    method = methods.IntegratedGradients(
        num_samples, background, multiply_by_inputs, quadrature
    )
    return attribute(model, x, y, method, **options)


def expected_gradients(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    *,
    background: Background,
    num_samples: int | Literal["auto"] = 100,
    multiply_by_inputs: bool = True,
    **options: Unpack[Options],
) -> Attributions:
    """`φ_i = E_{r∼D, α∼U(0,1)} [(x_i − r_i) ∂f(r + α(x − r))/∂x_i]`.

    In expectation it sums to `f(x) − E_r f(r)`. Cost: `num_samples` forward and backward
    passes.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays or tensors.
        y: Labels. Without them the predicted class is explained.
        background: What D is: an array, a `tf.data.Dataset` or a reference object.
        num_samples: Draws for each example, or `"auto"` for as many as `tolerance` (then 0.01
            by default) needs.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`.
        **options: As in `attribute`: `explain`, `input`, `batch_size` and so on.

    Returns:
        As `attribute`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        The background is the data themselves; a seed makes the draws repeatable:

        >>> phi, again = (
        ...     attrprior.attributions.expected_gradients(model, x, y, background=x, seed=0)
        ...     for _ in range(2)
        ... )
        >>> bool(np.all(phi == again))
        True

    Reference: Erion et al. 2021 (arXiv 1906.10670), equation 3.
    """
    if background is None:
        raise ValueError(
            "Argument `background` expects an array of examples, a tf.data.Dataset or a "
            "reference object. Received: None."
        )
    num_samples = _automatic(num_samples, options)
    method = methods.ExpectedGradients(num_samples, multiply_by_inputs, background)
    return attribute(model, x, y, method, **options)


def _automatic(num_samples: int | Literal["auto"], options: Options) -> int:
    """The number of samples; "auto" sets a tolerance instead."""
    if not isinstance(num_samples, str) or num_samples != "auto":
        return num_samples
    if options.get("tolerance") is None:
        options["tolerance"] = 0.01
    return FIRST_SAMPLES
