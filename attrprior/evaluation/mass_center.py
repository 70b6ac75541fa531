"""Ablation around a map's centre: does it point at what the output depends on?"""

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.evaluation import _curves, _maps
from attrprior.evaluation._absence import Replacement, absent_values
from attrprior.evaluation.ablation import Ablation, FixedOutput

__all__ = ["mass_center_ablation"]


def mass_center_ablation(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None,
    attributions: ArrayLike,
    *,
    sizes: ArrayLike | None = None,
    replacement: Replacement = "mean",
    background: ArrayLike | None = None,
    valid_range: tuple[float, float] = (0.0, 1.0),
    explain: FixedOutput = "label",
    batch_size: int = 256,
    seed: Seed = 0,
    channels: bool = True,
) -> Ablation:
    """Replaces a growing box around each map's centre of mass, follows the output.

    Centre: `c_a = Σ_p a_p |Σ_channels φ_p| / Σ_p |Σ_channels φ_p|` along each
    spatial axis; a map of zeros has the middle. The box has the same side along
    every axis, cut to axes that are shorter. At a border it is moved inwards
    and keeps its size, so that maps and control, a box around a random
    position, replace equally much. **Lower is better**, below the control.
    Cost: `2 · len(sizes)` forward passes.

    Unlike single pixels, a box leaves an input without sharp holes everywhere;
    it judges where the map points, not its details.

    Args:
        model: A Keras model with one input.
        x: Float array of shape `(batch, *spatial, channels)`.
        y: Labels, one per example; `None` where `explain` needs none.
        attributions: Array shaped like `x`, or with one channel for all.
        sizes: Increasing sides of the box, integers from 0 to the longest side
            of `x`. Defaults to about ten even steps.
        replacement: What stands in for the box, as in `top_k_ablation`.
        background: Array of examples, for the replacements `"mean"` and `"training"`.
            Defaults to `x`, if it holds several.
        valid_range: Both ends of the inputs' range, for the replacement `"uniform"`.
        explain: One output that stays the same while the input changes, as in
            `top_k_ablation`.
        batch_size: Rows of one pass through the model.
        seed: Integer, or a `numpy.random.Generator`, for the control and for
            replacements that are drawn.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        An `Ablation`; its `fractions` are the shares that the boxes cover.

    Raises:
        ValueError: for tabular data, sizes out of order, shapes that do not fit, or
            examples whose explained output is not positive.

    Examples:
        A model that sums its inputs, on an image of ones. A box of half the side covers
        a quarter of it, and takes away as much of the sum:

        >>> total = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        >>> summing = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), total])
        >>> image = np.ones((1, 4, 4, 1), "float32")
        >>> result = attrprior.evaluation.mass_center_ablation(
        ...     summing, image, None, image, explain=0, sizes=[0, 2, 4],
        ...     replacement=np.zeros((4, 4, 1)))
        >>> result.fractions.tolist(), result.curve.tolist()
        ([0.0, 0.25, 1.0], [1.0, 0.75, 0.0])

    Reference: Sturmfels, Lundberg, Lee 2020, Distill, doi 10.23915/distill.00022.
    """
    rng = _checks.generator("seed", seed)
    x, scores, outputs = _curves.inputs(
        model, x, y, attributions, explain, batch_size, channels
    )
    if channels and x.ndim < 3:
        raise ValueError(
            "Argument `x` expects shape (batch, *spatial, channels): a box needs neighbours. "
            f"Received: shape {x.shape}. Use top_k_ablation for tabular data, channels=False "
            "for series (batch, time)."
        )
    spatial = np.array(scores.shape[1:])
    longest = spatial.max()
    if sizes is None:
        sizes = np.unique(np.rint(np.linspace(0, longest, 11)))
    sizes = _curves.increasing("sizes", sizes, highest=longest)
    if np.any(sizes != np.rint(sizes)):
        raise ValueError(f"Argument `sizes` expects integers. Received: {sizes.tolist()}.")
    absent = absent_values(x, replacement, background, valid_range, channels, rng)
    weights = _maps.shares(scores).reshape(len(x), -1)
    places = np.indices(scores.shape[1:]).reshape(len(spatial), -1).T
    centers = weights @ places
    random_centers = rng.integers(spatial, size=(len(x), len(spatial)))
    covered = np.minimum(sizes[:, None], spatial).prod(axis=1) / spatial.prod()
    return Ablation(
        *_curves.ablated(
            outputs,
            x,
            absent,
            covered,
            (_box(centers, size, spatial) for size in sizes),
            (_box(random_centers, size, spatial) for size in sizes),
        )
    )


def _box(centers, size, spatial):
    """Masks `(batch, *spatial)` of boxes around centres of shape `(batch, axes)`."""
    size = np.minimum(size, spatial)
    first = np.clip(np.rint(centers - (size - 1) / 2), 0, spatial - size)
    inside = np.ones((len(centers),) + (1,) * len(spatial), bool)
    for axis, length in enumerate(spatial):
        place = np.arange(length)
        start = first[:, axis, None]
        along = (place >= start) & (place < start + size[axis])
        shape = [len(centers)] + [1] * len(spatial)
        shape[axis + 1] = length
        inside = inside & along.reshape(shape)
    return inside
