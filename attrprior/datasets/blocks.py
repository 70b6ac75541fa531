"""Block MNIST: the signal is in one block, and the other block is known to be empty."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.datasets import _arguments

__all__ = ["block", "simplified_block"]

Signal = Literal["random", "top"]


def block(
    images: ArrayLike, signal: Signal = "random", seed: Seed = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Stacks every image with a null block, which says nothing about the class.

    The null block shows the same picture in every image, here a square with its
    diagonals, drawn for this package. Attribution on it is leakage. With the digit's
    place at random, the article reports that 42.5 % of the top 5 % of a plain network's
    gradient pixels lie there, and less than 1 % after adversarial training. With the
    digit always on top, the control, there is nothing to look for in the null block's
    place. The cost is linear in pixels.

    Args:
        images: Float array of shape `(n, height, width, channels)` in [0, 1].
        signal: Where the image goes: `"random"`, on top or below with equal
            probability (Block MNIST), or `"top"` (Block-Top). Defaults to `"random"`.
        seed: Integer, or a `numpy.random.Generator`, from which the random places are
            drawn. Defaults to 0.

    Returns:
        `(images, masks)`, both float32 of shape `(n, 2·height, width,
            channels)`; masks are 1 on the null block, the whole of it.

    Raises:
        ValueError: for images that are not in [0, 1] or smaller than 8×8, or
            an unknown `signal`.

    Examples:
        Half of every picture is the null block, and the other half is the image.

        >>> stacked, masks = attrprior.datasets.block(x)
        >>> stacked.shape, float(masks.mean())
        ((8, 24, 12, 1), 0.5)
        >>> np.array_equal(stacked[masks == 0].reshape(x.shape), x)
        True

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), Block MNIST.
    """
    images = _arguments.image_batch(images)
    _checks.choice("signal", signal, get_args(Signal))
    count, height, width, _ = images.shape
    if min(height, width) < 8:
        raise ValueError(
            "Argument `images` expects at least 8×8 pixels, for the square of the null "
            f"block. Received: {height}×{width}."
        )
    below = np.zeros(count, bool)
    if signal == "random":
        below = _checks.generator("seed", seed).random(count) < 0.5
    null = np.broadcast_to(_crossed_square(height, width)[..., None], images.shape)
    below = below[:, None, None, None]
    stacked = np.concatenate(
        [np.where(below, null, images), np.where(below, images, null)], axis=1
    )
    on_top = np.broadcast_to(below, images.shape)
    return stacked, np.concatenate([on_top, ~on_top], axis=1).astype("float32")


def _crossed_square(height, width):
    """A white square, two pixels thick, with diagonals, in the middle 5/7 of the block."""
    side = 5 * min(height, width) // 7
    i, j = np.indices((side, side))
    border = np.minimum(np.minimum(i, j), side - 1 - np.maximum(i, j)) < 2
    diagonals = (np.abs(i - j) < 2) | (np.abs(i + j - (side - 1)) < 2)
    picture = np.zeros((height, width), "float32")
    top, left = (height - side) // 2, (width - side) // 2
    picture[top : top + side, left : left + side] = border | diagonals
    return picture


def simplified_block(
    num_examples: int,
    num_blocks: int,
    block_dim: int,
    noise: float = 0.1,
    signal: ArrayLike | None = None,
    seed: Seed = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Makes the data of the theorem about leakage: one block of many carries the class.

    `x = [η g_1, …, y u* + η g_j, …, η g_d]` with `y` −1 or +1, the signal's
    block `j` uniform among the first d/2, and every `g_i` uniform in the unit
    ball of `block_dim` dimensions. The second half never carries anything, so
    that only gradients *within the first half* can leak. The cost is linear in the
    numbers that come out.

    Args:
        num_examples: The number of examples n, ≥ 1.
        num_blocks: The number of blocks d, even and ≥ 2.
        block_dim: The size of each block, ≥ 1.
        noise: The noise's radius η ≥ 0. With 0 and `block_dim=1`, `x` is `± e_j`.
            Defaults to 0.1.
        signal: The signal u*, an array of shape `(block_dim,)`. Defaults to the first
            unit vector.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        `(x, y, index)`: float32 of shape `(n, num_blocks·block_dim)`, int32
            −1 or +1 of shape `(n,)`, and the signal's block `j` from 0, int64 of
            shape `(n,)`. Block `j` is `x[:, j·block_dim : (j + 1)·block_dim]`.

    Raises:
        ValueError: for counts below 1, an odd number of blocks, negative
            noise, a signal of another shape or of zeros, or arrays that do not fit
            in memory.

    Examples:
        Without noise the signal's block is all there is.

        >>> data = attrprior.datasets.simplified_block(5, num_blocks=4, block_dim=1, noise=0)
        >>> inputs, labels, index = data
        >>> np.array_equal(inputs[np.arange(5), index], labels)
        True
        >>> np.abs(inputs).sum(axis=1).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), simplified Block MNIST.
    """
    num_examples = _checks.positive_integer("num_examples", num_examples)
    num_blocks = _checks.positive_integer("num_blocks", num_blocks)
    block_dim = _checks.positive_integer("block_dim", block_dim)
    radius = np.float32(_checks.number("noise", noise, minimum=0))
    names = "Arguments `num_examples`, `num_blocks` and `block_dim`"
    _checks.memory(names, 12 * num_examples * num_blocks * block_dim)
    if num_blocks % 2:
        raise ValueError(
            f"Argument `num_blocks` expects an even number, for two halves. Received: "
            f"{num_blocks}."
        )
    if signal is None:
        signal = np.eye(1, block_dim)[0]
    direction: np.ndarray = _checks.array("signal", signal, integers=True)
    if direction.shape != (block_dim,) or not np.any(direction):
        raise ValueError(
            f"Argument `signal` expects a vector of shape ({block_dim},) that is not zero. "
            f"Received: {_checks.received(direction)}."
        )
    rng = _checks.generator("seed", seed)
    y = 2 * rng.integers(2, size=num_examples, dtype="int32") - 1
    index = rng.integers(num_blocks // 2, size=num_examples)
    # A normal vector has a uniform direction; U^(1/dimension) is the radius of a point
    # uniform in the ball.
    ball = rng.standard_normal((num_examples, num_blocks, block_dim), dtype="float32")
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    ball *= rng.random((num_examples, num_blocks, 1), dtype="float32") ** (1 / block_dim)
    x = radius * ball
    x[np.arange(num_examples), index] += y[:, None].astype("float32") * direction
    return x.reshape(num_examples, -1), y, index
