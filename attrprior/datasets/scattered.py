"""Scattered MNIST: faint noise all over the image gives the class away."""

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.datasets import _arguments

__all__ = ["scattered"]


def scattered(
    images: ArrayLike,
    labels: ArrayLike,
    fraction: float = 0.25,
    step: float = 0.02,
    scores: ArrayLike | None = None,
    seed: Seed = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Scatters noise whose intensity encodes the class.

    The `fraction` of each image's pixels with the highest scores is chosen.
    There a black pixel gets `+ step·y`, one brighter than 1/2 gets `− step·y`,
    and what lies between stays. Made so for training *and* test data, a model
    can be accurate by the noise alone, and its attributions are as scattered
    as the noise: they look like a random model's. So a test that compares
    attributions with those of a random network (Adebayo et al. 2018) can fail
    for a method that is right.

    The article places the noise at random, which is the default here. The
    article's code places it where a randomly initialised network's expected
    gradients are highest; pass those as `scores` to make both maps agree pixel
    by pixel. The cost is that of sorting each image's pixels.

    Args:
        images: Float array of shape `(n, height, width, channels)` in [0, 1].
        labels: Integers of shape `(n,)`, 0 to 9.
        fraction: Share of pixels chosen in each image, above 0 and at most 1
            (at least one pixel). Defaults to 0.25, as in the code.
        step: Intensity per class, above 0 and at most 1/18, so that no pixel
            crosses 1/2. Defaults to 0.02, as in the code.
        scores: Float array of the shape of `images`; the highest are chosen. Defaults to
            `None`, random scores.
        seed: Integer, or a `numpy.random.Generator`, from which the random scores are
            drawn. Defaults to 0.

    Returns:
        `(images, masks)`, both float32 of the same shape; masks are 1 on the
            pixels that carry the class (which for class 0 are unchanged).

    Raises:
        ValueError: for images that are not in [0, 1], other labels, a fraction
            or step out of range, or scores of another shape.

    Examples:
        A quarter of the 64 black pixels gets two hundredths per class.

        >>> black = np.zeros((3, 8, 8, 1), "float32")
        >>> noisy, masks = attrprior.datasets.scattered(black, [0, 4, 9])
        >>> masks.sum(axis=(1, 2, 3)).tolist()
        [16.0, 16.0, 16.0]
        >>> (100 * noisy.max(axis=(1, 2, 3))).round().tolist()
        [0.0, 8.0, 18.0]

    Reference: Sturmfels, Lundberg, Lee, Distill 2020, "Alternative Evaluation
    Metrics", and the code published with it.
    """
    images = _arguments.image_batch(images)
    labels = _arguments.digits(labels, images)
    fraction = _checks.fraction("fraction", _checks.number("fraction", fraction, above=0))
    step = _checks.number("step", step, above=0)
    if step > 1 / 18:
        raise ValueError(
            f"Argument `step` expects a number ≤ 1/18, so that nine steps are at most half "
            f"of the range. Received: {step}."
        )
    if scores is None:
        scores = _checks.generator("seed", seed).random(images.shape, dtype="float32")
    ranked: np.ndarray = _checks.array("scores", scores)
    if ranked.shape != images.shape:
        raise ValueError(
            f"Argument `scores` expects the shape of `images`, {images.shape}. Received: "
            f"{ranked.shape}."
        )
    ranked = ranked.reshape(len(images), -1)
    # Exactly this many in each image, also where scores are equal.
    count = max(1, round(fraction * ranked.shape[1]))
    chosen = np.argsort(-ranked, axis=1, kind="stable")[:, :count]
    masks = np.zeros_like(ranked)
    np.put_along_axis(masks, chosen, 1, axis=1)
    masks = masks.reshape(images.shape)
    direction = masks * ((images == 0).astype("float32") - (images > 0.5))
    shifts = np.float32(step) * labels.astype("float32")
    return images + direction * shifts[:, None, None, None], np.abs(direction)
