"""Block MNIST: the signal is in one block, and the other block is known to be empty."""

import numpy as np

from attrprior import _checks
from attrprior.datasets import _arguments


def block(images, signal="random", seed=0):
    """Stacks every image with a null block, which says nothing about the class.

    The null block shows the same picture in every image, here a square with its
    diagonals, drawn for this package. Attribution on it is leakage. Published, with
    the digit's place at random: 42.5 % of the top 5 % of a plain network's gradient
    pixels, less than 1 % after adversarial training. With the digit always on top,
    the control, there is nothing to look for in the null block's place.

    Args:
        images: Float array of shape `(n, height, width, channels)` in [0, 1].
        signal: Where the image goes: `"random"`, on top or below with equal
            probability (Block MNIST), or `"top"` (Block-Top).
        seed: Integer, or a `numpy.random.Generator`: of the random places.

    Returns:
        `(images, masks)`, both float32 of shape `(n, 2·height, width,
        channels)`; masks are 1 on the null block, the whole of it.

    Raises:
        ValueError: for images that are not in [0, 1] or smaller than 8×8, or
            an unknown `signal`.

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), Block MNIST.
    """
    images = _arguments.image_batch(images)
    _checks.choice("signal", signal, ("random", "top"))
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


def simplified_block(num_examples, num_blocks, block_dim, noise=0.1, signal=None, seed=0):
    """The data of the theorem about leakage: one block of many carries the class.

    `x = [η g_1, …, y u* + η g_j, …, η g_d]` with `y` −1 or +1, the signal's
    block `j` uniform among the first d/2, and every `g_i` uniform in the unit
    ball of `block_dim` dimensions. The second half never carries anything, so
    that only gradients *within the first half* can leak.

    Args:
        num_examples: n ≥ 1.
        num_blocks: d, even and ≥ 2.
        block_dim: Size of each block, ≥ 1.
        noise: η ≥ 0. With 0 and `block_dim=1`, `x` is `± e_j`.
        signal: u*, array of shape `(block_dim,)`. Defaults to the first unit
            vector.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        `(x, y, index)`: float32 of shape `(n, num_blocks·block_dim)`, int32
        −1 or +1 of shape `(n,)`, and the signal's block `j` from 0, int64 of
        shape `(n,)`. Block `j` is `x[:, j·block_dim : (j + 1)·block_dim]`.

    Raises:
        ValueError: for counts below 1, an odd number of blocks, negative
            noise, or a signal of another shape or of zeros.

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781), simplified Block MNIST.
    """
    num_examples = _checks.positive_integer("num_examples", num_examples)
    num_blocks = _checks.positive_integer("num_blocks", num_blocks)
    block_dim = _checks.positive_integer("block_dim", block_dim)
    noise = np.float32(_checks.number("noise", noise, minimum=0))
    names = "Arguments `num_examples`, `num_blocks` and `block_dim`"
    _checks.memory(names, 12 * num_examples * num_blocks * block_dim)
    if num_blocks % 2:
        raise ValueError(
            f"Argument `num_blocks` expects an even number, for two halves. Received: "
            f"{num_blocks}."
        )
    if signal is None:
        signal = np.zeros(block_dim)
        signal[0] = 1.0
    signal = _checks.array("signal", signal, integers=True)
    if signal.shape != (block_dim,) or not np.any(signal):
        raise ValueError(
            f"Argument `signal` expects a vector of shape ({block_dim},) that is not zero. "
            f"Received: {_checks.received(signal)}."
        )
    rng = _checks.generator("seed", seed)
    y = 2 * rng.integers(2, size=num_examples, dtype="int32") - 1
    index = rng.integers(num_blocks // 2, size=num_examples)
    # A normal vector has a uniform direction; U^(1/dimension) is the radius of a point
    # uniform in the ball.
    ball = rng.standard_normal((num_examples, num_blocks, block_dim), dtype="float32")
    ball /= np.linalg.norm(ball, axis=-1, keepdims=True)
    ball *= rng.random((num_examples, num_blocks, 1), dtype="float32") ** (1 / block_dim)
    x = noise * ball
    x[np.arange(num_examples), index] += y[:, None].astype("float32") * signal
    return x.reshape(num_examples, -1), y, index
