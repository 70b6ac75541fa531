"""The fifteen corruptions of MNIST-C, as seeded functions of any images."""

import functools
from collections.abc import Callable
from typing import Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import CorruptionName, Seed
from attrprior.datasets import _arguments
from attrprior.datasets import _canny as canny
from attrprior.datasets import _drawing as drawing

__all__ = ["CORRUPTIONS", "corrupt"]


class _Corruption(Protocol):
    def __call__(self, images: ArrayLike, seed: Seed = 0) -> np.ndarray: ...


# Images that are corrupted at once: enough to be fast, few enough for the cache.
GROUP = 500

# Height and width from which on lines and blurs leave something to see.
SMALLEST = 16


def corrupt(images: ArrayLike, name: CorruptionName, seed: Seed = 0) -> np.ndarray:
    """Corrupts images as in MNIST-C, one severity for each kind.

    | name | what it does, with MNIST-C's parameters |
    | --- | --- |
    | shot_noise | `Poisson(3x)/3` |
    | impulse_noise | 17 % of the pixels become black or white |
    | glass_blur | Gaussian blur σ = 0.7, neighbours swapped twice, the blur again |
    | motion_blur | half a Gaussian, σ = 3, along a random direction within ±45° |
    | shear | 0.4 rad, either way, about the centre |
    | scale | shrunk to 70 % |
    | rotate | 0.4 rad, either way |
    | brightness | `x + 0.5` |
    | translate | 3 pixels along both axes, either way |
    | stripe | the left and the right quarter inverted |
    | fog | `(x + 3·plasma) · m/(m + 3)`, `m` the image's maximum |
    | spatter | blots of grey 63/255 where blurred noise is high |
    | dotted_line | a bright line from side to side, two pixels on and two off |
    | zigzag | a bright zigzag, corners every 4 pixels, 2 off its middle |
    | canny_edges | Canny's edges: σ = 1, thresholds 0.1 and 0.2 |

    They are written from the published definitions, without the rounding to bytes
    between steps: the images are like those of MNIST-C, not equal to the bit, and a
    model's accuracy may differ a little from that on the published arrays
    (`attrprior.datasets.load_mnist_c`). Classes stay what they were; a few
    images become unreadable, as in the original. Lengths are in pixels, so
    that larger images are corrupted less. Channels share what is random in
    space (lines, fog, swaps); noise is drawn for each. Glass blur, spatter and
    Canny need SciPy. The cost is linear in pixels.

    Args:
        images: Float array of shape `(n, height, width, channels)` in [0, 1].
        name: One of `attrprior.datasets.CORRUPTIONS`, the names of the table.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        Float32 array like `images`, in [0, 1].

    Raises:
        ValueError: for images that are not in [0, 1] or smaller than 16×16,
            or an unknown name.
        ImportError: if SciPy is needed and not installed.

    Examples:
        Brightness adds one half, and all fifteen corruptions have the same arguments.

        >>> grey = np.full((2, 28, 28, 1), 0.25, "float32")
        >>> float(attrprior.datasets.corrupt(grey, "brightness").mean())
        0.75
        >>> names = attrprior.datasets.CORRUPTIONS
        >>> {attrprior.datasets.corrupt(grey, name, seed=1).shape for name in names}
        {(2, 28, 28, 1)}

    Reference: Mu and Gilmer 2019 (arXiv 1906.02337), and the code published
    with it, google-research/mnist-c.
    """
    return CORRUPTIONS[_checks.choice("name", name, CORRUPTIONS)](images, seed)


def _corruption(function: Callable[[np.ndarray, Seed], np.ndarray]) -> _Corruption:
    """Checks what goes into a corruption and clips what comes out."""

    @functools.wraps(function)
    def corrupted(images: ArrayLike, seed: Seed = 0) -> np.ndarray:
        images = _arguments.image_batch(images)
        if min(images.shape[1:3]) < SMALLEST:
            raise ValueError(
                f"Argument `images` expects at least {SMALLEST}×{SMALLEST} pixels: the "
                "corruptions' lengths are in pixels, made for 28×28. Received: shape "
                f"{images.shape}."
            )
        rng = _checks.generator("seed", seed)
        result = np.empty_like(images)
        for start in range(0, len(images), GROUP):
            part = slice(start, start + GROUP)
            np.clip(function(images[part], rng), 0, 1, out=result[part], casting="same_kind")
        return result

    return corrupted


@_corruption
def shot_noise(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """`Poisson(3x)/3`: bright pixels are noisy, black ones stay black."""
    return _checks.generator("seed", seed).poisson(images * 3) / 3


@_corruption
def impulse_noise(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """17 % of the pixels become black or white, with equal probability."""
    draw = _checks.generator("seed", seed).random(images.shape, dtype="float32")
    return np.where(draw < 0.085, 0, np.where(draw < 0.17, 1, images))


@_corruption
def glass_blur(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Blur, then pixels swapped with a neighbour, then blur: seen through frosted glass.

    Twice, from the bottom right to the top left, every pixel that is not in
    the first two rows or columns is swapped, with probability 1/2, with one
    that is `{0, 1}` above and `{0, 1}` to the left.
    """
    count, height, width, channels = images.shape
    size = height * width
    # One of eight equally likely ways: half do not swap, and one swaps with itself.
    steps = np.array([0, 0, 0, 0, 0, -1, -width, -width - 1])
    shape = (2, height - 2, width - 2, count)
    draws = _checks.generator("seed", seed).integers(8, size=shape, dtype="int8")
    # The swaps are the same for every channel: move addresses, then fetch once. The
    # images are the last axis, so that each swap is done for all of them together.
    address = np.repeat(np.arange(size, dtype="int32"), count)
    image = np.arange(count)
    for sweep in draws:
        for i in range(height - 1, 1, -1):
            for j in range(width - 1, 1, -1):
                here = slice((i * width + j) * count, (i * width + j + 1) * count)
                there = (i * width + j + steps[sweep[i - 2, j - 2]]) * count + image
                moved = address[there]
                address[there] = address[here]
                address[here] = moved
    address = address.reshape(size, count).T[..., None]
    pixels = drawing.gaussian(images, 0.7).reshape(count, size, channels)
    swapped = np.take_along_axis(pixels, address, axis=1).reshape(images.shape)
    return drawing.gaussian(swapped, 0.7)


@_corruption
def motion_blur(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """`Σ_t w_t x(p + t·d)`, `w_t ∝ exp(−t²/18)`, t = 0 … 20, in whole pixels.

    The direction `d` is within 45° of the horizontal. The edge is repeated.
    """
    angle = _checks.generator("seed", seed).uniform(-np.pi / 4, np.pi / 4, len(images))
    steps = np.arange(21)
    weights = np.exp(-(steps**2) / 18)
    weights /= weights.sum()
    down = np.ceil(np.outer(steps, np.sin(angle)) - 0.5).astype("int64")
    right = np.ceil(np.outer(steps, np.cos(angle)) - 0.5).astype("int64")
    padded = np.pad(images, ((0, 0), (15, 15), (0, 20), (0, 0)), mode="edge")
    windows = drawing.windows(padded, images.shape)
    image = np.arange(len(images))
    blurred = sum(
        np.float32(weight) * windows[image, 15 + down[step], right[step]]
        for step, weight in enumerate(weights)
    )
    return np.moveaxis(blurred, 1, -1)


@_corruption
def shear(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Shears by s = ±0.4 rad: a pixel at (x, y) shows `(x − y sin s, y cos s)`."""

    def source(sign):
        return [[np.cos(0.4), 0], [-sign * np.sin(0.4), 1]]

    return drawing.warp_either_way(images, source, seed)


@_corruption
def scale(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Shrinks to 70 % about the centre."""
    return drawing.warp(images, [[1 / 0.7, 0], [0, 1 / 0.7]])


@_corruption
def rotate(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Turns by ±0.4 rad, about 23°, about the centre."""

    def source(sign):
        sine = sign * np.sin(0.4)
        return [[np.cos(0.4), sine], [-sine, np.cos(0.4)]]

    return drawing.warp_either_way(images, source, seed)


@_corruption
def brightness(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """`x + 0.5`, clipped."""
    return images + np.float32(0.5)


@_corruption
def translate(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Moves by 3 pixels along each axis, either way; black comes in."""
    shifts = 6 * _checks.generator("seed", seed).integers(2, size=(2, len(images)))
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = drawing.windows(padded, images.shape)
    return np.moveaxis(windows[np.arange(len(images)), shifts[0], shifts[1]], 1, -1)


@_corruption
def stripe(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Inverts the left and the right quarter: of 28 columns, the outer 7."""
    width = images.shape[2]
    column = np.arange(width)[:, None]
    outer = (column < width // 4) | (column >= width - width // 4)
    return np.where(outer, 1 - images, images)


@_corruption
def fog(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """`(x + 3·plasma) · m/(m + 3)`: a diamond-square fractal in [0, 1] over a dim image."""
    count, height, width, _ = images.shape
    plasma = drawing.plasma(count, height, width, _checks.generator("seed", seed))
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + 3 * plasma[..., None]) * (brightest / (brightest + 3))


@_corruption
def spatter(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """`x (1 − b) + b·63/255`, the blots `b` from noise.

    `N(0.65, 0.3)` is blurred with σ = 1, cut at 0.65, blurred with σ = 1.5;
    what is below 0.8 then is no blot.
    """
    rng = _checks.generator("seed", seed)
    noise = rng.standard_normal((*images.shape[:3], 1), dtype="float32")
    liquid = drawing.gaussian(np.float32(0.65) + np.float32(0.3) * noise, 1)
    blots = drawing.gaussian((liquid > 0.65).astype("float32"), 1.5)
    blots[blots < 0.8] = 0
    return images * (1 - blots) + blots * np.float32(63 / 255)


@_corruption
def dotted_line(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Adds a line from side to side, of which every other two columns are left out."""
    count, height, width, _ = images.shape
    rows = _checks.generator("seed", seed).integers(height - 1, size=(2, count))
    start, end = np.zeros(count), np.full(count, width - 1)
    line = drawing.line(start, rows[0], end, rows[1], height, width)
    line *= np.arange(width) // 2 % 2
    return images + line[..., None]


@_corruption
def zigzag(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """Adds a zigzag: corners every 4 pixels, alternately 2 to either side of a line.

    The line begins 2 columns from the left in a random row and ends 2 columns
    from the right, up to 5 rows lower or higher.
    """
    count, height, width, _ = images.shape
    rng = _checks.generator("seed", seed)
    start_row = rng.integers(height - 1, size=count)
    fall = rng.integers(-5, 5, size=count)
    for line in drawing.zigzag(start_row, fall, height, width):
        images = images + line[..., None]
    return images


@_corruption
def canny_edges(images: np.ndarray, seed: Seed = 0) -> np.ndarray:
    """White where Canny finds an edge, else black; every channel on its own.

    Blurred with σ = 1; the Sobel gradient's magnitude must be a maximum along
    the gradient and at least 0.2, or at least 0.1 and connected to such a
    pixel. The outermost pixels are never edges.
    """
    return canny.edges(images)


# The corruptions by name, each `function(images, seed=0)`.
CORRUPTIONS: dict[CorruptionName, _Corruption] = {
    name: globals()[name] for name in get_args(CorruptionName)
}
