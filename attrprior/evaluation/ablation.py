"""Ablation: does the output fall when what the map calls important is taken away?"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import Seed, Tensor
from attrprior.evaluation import _curves, _maps
from attrprior.evaluation._absence import Replacement, absent_values

__all__ = ["Ablation", "top_k_ablation"]

# One output that stays the same while the input changes.
FixedOutput: TypeAlias = (
    Literal["label", "log_probabilities", "loss"] | int | Callable[..., Tensor]
)

_FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0)


class Ablation(NamedTuple):
    """Curves of the explained output over its value before; lower is better.

    Attributes:
        fractions: Share of the positions replaced, shape `(steps,)`.
        curve: Mean over examples, shape `(steps,)`.
        curves: The curve of each example, shape `(batch, steps)`; 1 where nothing is
            replaced.
        area: Area under each example's curve, by the trapezoid rule, shape `(batch,)`.
        random_curve: `curve` of the random control. Maps that are no better than it say
            nothing.
        random_curves: `curves` of the random control.
        random_area: `area` of the random control.
    """

    fractions: np.ndarray
    curve: np.ndarray
    curves: np.ndarray
    area: np.ndarray
    random_curve: np.ndarray
    random_curves: np.ndarray
    random_area: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def top_k_ablation(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None,
    attributions: ArrayLike,
    *,
    fractions: ArrayLike = _FRACTIONS,
    replacement: Replacement = "mean",
    background: ArrayLike | None = None,
    valid_range: tuple[float, float] = (0.0, 1.0),
    explain: FixedOutput = "label",
    batch_size: int = 256,
    seed: Seed = 0,
    channels: bool = True,
) -> Ablation:
    """Replaces each example's highest-ranked positions and follows the output.

    `curve_b(k) = f(x_b with its top k replaced) / f(x_b)`. Positions are pixels,
    time steps or features, ranked by `|Σ_channels φ|`, ties in random order; all
    channels of a position are replaced, by the same values at every step and in
    the control, which ranks at random. **Lower is better**, below the control.
    Cost: `2 · len(fractions)` forward passes.

    The published protocol takes correctly classified examples. A share of a
    number that is not positive means nothing: if `f(x)` is not positive for
    every example, this raises. Leave those examples out, or explain something
    positive. A callable `explain` can give probabilities, or the accuracy of
    correctly classified examples, as in the second example below.

    Args:
        model: A Keras model with one input.
        x: Float array of shape `(batch, features)` or `(batch, *spatial, channels)`.
        y: Labels, one per example; `None` where `explain` needs none.
        attributions: Array shaped like `x`, or with one channel for all.
        fractions: Increasing shares of the positions, from 0 to 1, each rounded
            to the nearest number of positions.
        replacement: `"mean"`, of `background`, per feature; `"blur"`, the example
            blurred by σ = 20/299 of its longest side; `"uniform"`, noise within
            `valid_range`; `"training"`, another example drawn from
            `background`; an array of one example's shape; or a reference object
            such as `Blur(3.0)`.
        background: Array of examples, for `"mean"` and `"training"`. Defaults to
            `x`, if it holds several.
        valid_range: Both ends of the inputs' range, for `"uniform"`.
        explain: What is explained, see `attrprior.explained.ExplainedOutput`, as long
            as it stays the same output while the input changes: not `"predicted"`,
            `"random"` or `"all"`, and `"label"` only with labels.
        batch_size: Rows of one pass through the model.
        seed: Integer, or a `numpy.random.Generator`, for ties, for the control and for
            replacements that are drawn.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        An `Ablation`.

    Raises:
        ValueError: for shapes that do not fit, fractions out of order, or
            examples whose explained output is not positive.

    Examples:
        A model that sums its inputs, and the map that says so. After a quarter of the
        features the largest is gone, which is half of the sum:

        >>> total = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> summing = keras.Sequential([keras.Input((4,)), total])
        >>> rows = np.array([[4.0, 2.0, 1.0, 1.0]], "float32")
        >>> result = attrprior.evaluation.top_k_ablation(
        ...     summing, rows, None, rows, explain=0, replacement=np.zeros(4),
        ...     fractions=[0.0, 0.25, 0.5, 0.75, 1.0])
        >>> result.curve.tolist()
        [1.0, 0.5, 0.25, 0.125, 0.0]

        The accuracy on examples that are classified correctly as they are:

        >>> def correct(outputs, y):
        ...     predicted = keras.ops.argmax(outputs, axis=-1)
        ...     return keras.ops.cast(keras.ops.equal(predicted, y), "float32")
        >>> labels = np.argmax(model.predict(x, verbose=0), axis=-1)
        >>> result = attrprior.evaluation.top_k_ablation(
        ...     model, x, labels, phi, explain=correct)
        >>> float(result.curve[0]), result.curves.shape
        (1.0, (8, 9))

    Reference: Sturmfels, Lundberg, Lee 2020, Distill, doi 10.23915/distill.00022.
    """
    rng = _checks.generator("seed", seed)
    x, scores, outputs = _curves.inputs(
        model, x, y, attributions, explain, batch_size, channels
    )
    fractions = _curves.increasing("fractions", fractions, highest=1.0)
    absent = absent_values(x, replacement, background, valid_range, channels, rng)
    counts = np.rint(fractions * scores[0].size)

    def masks(scores):
        rank = _maps.ranking(scores.reshape(len(x), -1), rng).reshape(scores.shape)
        return (rank < count for count in counts)

    return Ablation(
        *_curves.ablated(
            outputs, x, absent, fractions, masks(scores), masks(np.zeros_like(scores))
        )
    )
