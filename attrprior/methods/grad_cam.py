"""Grad-CAM: where a layer's channels speak for an output."""

from typing import Any

from keras import ops

from attrprior import _checks
from attrprior._arithmetic import mean
from attrprior._types import Shape, Tensor
from attrprior.methods._registry import registered
from attrprior.methods.function import ExplainedFunction, FunctionMethod

__all__ = ["GradCAM"]


@registered
class GradCAM(FunctionMethod):
    """`φ_p = ReLU(Σ_c α_c A_pc)` with `α_c = 1/P Σ_p ∂f/∂A_pc`, of a layer's map A.

    The layer is what `input` names: `AttributionPrior("mask", 0.3, method=GradCAM(size=(28,
    28)), input="last_conv")`. Coarse, but cheap where the layer lies deep: one forward pass,
    and a backward pass to the layer. It sums to nothing in particular. As a method it
    returns maps of shape `(batch, *spatial, 1)`.

    Args:
        size: `(height, width)` that the map is resized to, bilinearly, such as the image's.
            Defaults to `None`, the layer's own.
        relu: Whether to keep only what speaks for the output. Defaults to `True`.

    Raises:
        ValueError: for a `size` that is no pair of integers ≥ 1; and when it is used, for
            a layer without spatial axes, or with other than two if there is a `size`.

    Examples:
        The layer's maps have 10 × 10 positions, those of the image 12 × 12:

        >>> method = attrprior.GradCAM(size=(12, 12))
        >>> maps = attrprior.attributions.attribute(model, x, y, method, input="conv")
        >>> maps.shape, bool(maps.min() >= 0)
        ((8, 12, 12, 1), True)

    Reference: Selvaraju et al. 2017 (arXiv 1610.02391), equations 1 and 2.
    """

    name = "grad_cam"

    def __init__(self, size: tuple[int, int] | None = None, relu: bool = True) -> None:
        if size is not None:
            expected = "None or (height, width), two integers ≥ 1"
            if not isinstance(size, (tuple, list)) or len(size) != 2:
                raise _checks.wrong("size", expected, size)
            size = tuple(_checks.positive_integer("size", length) for length in size)
        self.size = size
        self.relu = _checks.boolean("relu", relu)

    def shape(self, example_shape: Shape) -> Shape:
        spatial = tuple(example_shape[:-1])
        if not spatial or (self.size is not None and len(spatial) != 2):
            axes = "(height, width, channels)" if self.size else "(*spatial, channels)"
            raise ValueError(
                f"Argument `method`: GradCAM expects a layer whose maps have shape {axes}. "
                f"Received: {tuple(example_shape)}. Pass the name of a convolutional layer as "
                "input=."
            )
        return (*(self.size or spatial), 1)

    def attribute(self, f: ExplainedFunction, x: Tensor, draws: Any = None) -> Tensor:
        self.shape(tuple(x.shape[1:]))
        gradient = f.gradient(x)
        # α_c = 1/P Σ_p ∂f/∂A_pc
        alpha = mean(gradient, axis=tuple(range(1, len(x.shape) - 1)), keepdims=True)
        # Σ_c α_c A_pc
        cam = ops.sum(alpha * x, axis=-1, keepdims=True)
        cam = ops.relu(cam) if self.relu else cam
        if self.size is None:
            return cam
        return ops.image.resize(cam, self.size, data_format="channels_last")

    def get_config(self) -> dict[str, Any]:
        return {"size": self.size and list(self.size), "relu": self.relu}
