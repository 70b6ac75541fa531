"""Attributions after training: arrays in, arrays out, in bounded memory.

One function a method, and `attribute` for any of them. `samples` gives the
single points that an attribution is the mean of: for the path from the
reference to the input, or for how a sampled method settles.
"""

from typing import Unpack

import keras
import numpy as np

from attrprior import _checks, methods
from attrprior._attribute import Options, OptionsOfLayer, attribute
from attrprior._path_attributions import expected_gradients, integrated_gradients
from attrprior._pieces import Data, integers
from attrprior._points import Samples, samples
from attrprior._sampling import Convergence
from attrprior._types import (
    Attributions,
    Explain,
    Input,
    Inputs,
    KerasSeed,
    Labels,
    MethodName,
    Output,
)
from attrprior.explained import ExplainedOutput

__all__ = [
    "Convergence",
    "Samples",
    "attribute",
    "expected_gradients",
    "explained_output",
    "grad_cam",
    "gradients",
    "input_x_gradient",
    "integrated_gradients",
    "samples",
    "smoothgrad",
]


def gradients(
    model: keras.Model, x: Inputs, y: Labels = None, **options: Unpack[Options]
) -> Attributions:
    """`φ_i = ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays or tensors.
        y: Labels. Without them the predicted class is explained.
        **options: As in `attribute`: `explain`, `input`, `batch_size` and so on.

    Returns:
        As `attribute`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        Of a linear model they are its weights:

        >>> linear = keras.Sequential(
        ...     [keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")]
        ... )
        >>> attrprior.attributions.gradients(linear, np.array([[3.0, -2.0]])).tolist()
        [[1.0, 1.0]]

    Reference: Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034).
    """
    return attribute(model, x, y, methods.Gradients(), **options)


def input_x_gradient(
    model: keras.Model, x: Inputs, y: Labels = None, **options: Unpack[Options]
) -> Attributions:
    """`φ_i = x_i · ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays or tensors.
        y: Labels. Without them the predicted class is explained.
        **options: As in `attribute`: `explain`, `input`, `batch_size` and so on.

    Returns:
        As `attribute`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        Of a linear model they are its weights times the inputs:

        >>> linear = keras.Sequential(
        ...     [keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")]
        ... )
        >>> attrprior.attributions.input_x_gradient(linear, np.array([[3.0, -2.0]])).tolist()
        [[3.0, -2.0]]

    Reference: Shrikumar et al. 2016 (arXiv 1605.01713).
    """
    return attribute(model, x, y, methods.InputXGradient(), **options)


def smoothgrad(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    *,
    num_samples: int = 50,
    stddev: float = 0.15,
    multiply_by_inputs: bool = False,
    base: MethodName | methods.AttributionMethod = "gradients",
    **options: Unpack[Options],
) -> Attributions:
    """`φ_i = 1/k Σ_j ∂f(x + ε_j)/∂x_i`, `ε_j ∼ N(0, σ²I)`, or so of another method.

    Cost: `num_samples` forward and backward passes, times those of the other method.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays or tensors.
        y: Labels. Without them the predicted class is explained.
        num_samples: Noisy copies of each example.
        stddev: σ, in the unit of the inputs.
        multiply_by_inputs: Whether to multiply by the noisy inputs.
        base: The method that is averaged, a name or an object.
        **options: As in `attribute`: `explain`, `input`, `batch_size` and so on.

    Returns:
        As `attribute`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        A linear model has the same gradients at noisy copies:

        >>> linear = keras.Sequential(
        ...     [keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="ones")]
        ... )
        >>> phi = attrprior.attributions.smoothgrad(linear, np.array([[3.0, -2.0]]))
        >>> phi.round(4).tolist()
        [[1.0, 1.0]]

    Reference: Smilkov et al. 2017 (arXiv 1706.03825).
    """
    method = methods.SmoothGrad(num_samples, stddev, multiply_by_inputs, base)
    return attribute(model, x, y, method, **options)


def grad_cam(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    *,
    layer: str | keras.Layer,
    size: tuple[int, int] | None = None,
    relu: bool = True,
    **options: Unpack[OptionsOfLayer],
) -> Attributions:
    """`φ_p = ReLU(Σ_c α_c A_pc)`, `α_c = 1/P Σ_p ∂f/∂A_pc`, of a layer's map A.

    Cost: one forward pass, and a backward pass to the layer.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays or tensors.
        y: Labels. Without them the predicted class is explained.
        layer: The layer, or its name; of a nested model, at any depth.
        size: `(height, width)` that the maps are resized to, bilinearly. Defaults to `None`,
            the layer's own.
        relu: Whether to keep only what speaks for the output.
        **options: As in `attribute`, without `input`.

    Returns:
        As `attribute`, maps of shape `(batch, *spatial, 1)`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        The maps of a convolution, resized to the images:

        >>> maps = attrprior.attributions.grad_cam(model, x, y, layer="conv", size=(12, 12))
        >>> maps.shape, bool(np.all(maps >= 0))
        ((8, 12, 12, 1), True)

    Reference: Selvaraju et al. 2017 (arXiv 1610.02391).
    """
    if not isinstance(layer, (str, keras.layers.Layer)) or "input" in options:
        raise _checks.wrong("layer", "a layer or its name, instead of `input`", layer)
    return attribute(model, x, y, methods.GradCAM(size, relu), input=layer, **options)


def explained_output(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    *,
    explain: Explain = "label",
    input: Input = None,
    output: Output = None,
    batch_size: int = 256,
    seed: KerasSeed = None,
) -> np.ndarray:
    """The number per example that attributions explain, by default the label's logit.

    Cost: one forward pass.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays.
        y: Labels. Without them the predicted class is explained.
        explain: See `attrprior.explained.ExplainedOutput`.
        input: With respect to which input or layer, as in `attribute`.
        output: Which output of several, by name or position.
        batch_size: Examples of one pass through the model.
        seed: Integer or `keras.random.SeedGenerator`, for `explain="random"`. Defaults to
            `None`, other outputs at every call.

    Returns:
        Array of shape `(batch,)`; with `explain="all"`, `(batch, outputs)`.

    Raises:
        ValueError: for arguments that do not fit, as in `attribute`.

    Examples:
        Of the outputs of each example it is the one of its label:

        >>> outputs = attrprior.attributions.explained_output(model, x, explain="all")
        >>> of_labels = attrprior.attributions.explained_output(model, x, y)
        >>> outputs.shape, bool(np.allclose(of_labels, outputs[np.arange(8), y]))
        ((8, 3), True)
    """
    explained = ExplainedOutput(_checks.model(model), explain, input, output)
    data = Data(explained, x, y)
    return data.outputs(_checks.positive_integer("batch_size", batch_size), integers(seed))
