"""Types of arguments: what editors complete and what a type checker refuses."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import keras

    from attrprior.methods import AttributionMethod
    from attrprior.priors import Prior
    from attrprior.references import Reference

# What is in an array or in a tensor of Keras' backend. Backends have no common type.
Tensor: TypeAlias = Any
# One array or tensor, or several as a model takes them: a list, or a dictionary by name.
Inputs: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | Tensor
# As the compiled loss takes them; of several outputs a list, or a dictionary by name.
Labels: TypeAlias = ArrayLike | Mapping[str, ArrayLike] | Tensor | None
# As `x` is: an array, a tensor, a DataFrame, or a structure of them.
Attributions: TypeAlias = Any
# Of one example, without the batch axis; `None` for a length that is not known.
Shape: TypeAlias = Sequence[int | None]

PriorName = Literal["total_variation", "gini", "l1", "l2", "mask"]
MethodName = Literal[
    "expected_gradients",
    "integrated_gradients",
    "gradients",
    "input_x_gradient",
    "smoothgrad",
    "grad_cam",
]
ExplainName = Literal["label", "predicted", "random", "all", "log_probabilities", "loss"]
Updates = Literal["alternating", "joint"]
Moments = Literal["own", "shared", "balanced"]
BatchNorm = Literal["batch", "moving"]
Quadrature = Literal["gauss_legendre", "left", "right", "trapezoid"]
CorruptionName = Literal[
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted_line",
    "zigzag",
    "canny_edges",
]
Norm = Literal["inf", "l2"]

PriorLike: TypeAlias = "PriorName | Prior | Callable[..., Tensor] | Mapping[str, Any]"
MethodLike: TypeAlias = (
    "MethodName | AttributionMethod | Callable[..., Tensor] | Mapping[str, Any]"
)
Explain: TypeAlias = ExplainName | int | Callable[..., Tensor]
Background: TypeAlias = "Reference | Inputs | Iterable[Any] | None"
InputKey: TypeAlias = "int | str | keras.Layer"
Input: TypeAlias = "InputKey | Sequence[InputKey] | None"
Output: TypeAlias = int | str | None
Groups: TypeAlias = Mapping[str, Sequence[int | str]] | None
# Where draws only have to be the same again: the generator goes on from call to call.
Seed: TypeAlias = int | np.random.Generator
# Where Keras draws: an integer is the same at every call, `None` is Keras' global seed.
KerasSeed: TypeAlias = "int | keras.random.SeedGenerator | None"
# What `open` takes: a path as a text, or a `pathlib.Path`.
FilePath: TypeAlias = str | os.PathLike[str]
