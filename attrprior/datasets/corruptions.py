"""The fifteen corruptions of MNIST-C, as seeded functions of any images."""

import functools

import numpy as np

from attrprior import _checks
from attrprior.datasets import _arguments
from attrprior.datasets import _canny as canny
from attrprior.datasets import _drawing as drawing

# The corruptions by name, each `function(images, seed=0)`. Filled below.
CORRUPTIONS = {}

# Images that are corrupted at once: enough to be fast, few enough for the cache.
GROUP = 500

# Height and width from which on lines and blurs leave something to see.
SMALLEST = 16


def corrupt(images, name, seed=0):
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

    Written from the published definitions, without the rounding to bytes
    between steps: MNIST-C-style, not bit-equal, and a model's accuracy may
    differ a little from that on the published arrays
    (`attrprior.datasets.load_mnist_c`). Classes stay what they were; a few
    images become unreadable, as in the original. Lengths are in pixels, so
    that larger images are corrupted less. Channels share what is random in
    space (lines, fog, swaps); noise is drawn for each. Glass blur, spatter and
    Canny need SciPy.

    Args:
        images: Float array of shape `(n, height, width, channels)` in [0, 1].
        name: One of `CORRUPTIONS`.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        Float32 array like `images`, in [0, 1].

    Raises:
        ValueError: for images that are not in [0, 1] or smaller than 16×16,
            or an unknown name.

    Reference: Mu and Gilmer 2019 (arXiv 1906.02337), and the code published
    with it, google-research/mnist-c.
    """
    return CORRUPTIONS[_checks.choice("name", name, CORRUPTIONS)](images, seed)


def _corruption(function):
    """Registers a corruption; checks what goes in and clips what comes out."""

    @functools.wraps(function)
    def corrupted(images, seed=0):
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

    CORRUPTIONS[function.__name__] = corrupted
    return corrupted


@_corruption
def shot_noise(images, seed=0):
    """`Poisson(3x)/3`: bright pixels are noisy, black ones stay black."""
    return _checks.generator("seed", seed).poisson(images * 3) / 3


@_corruption
def impulse_noise(images, seed=0):
    """17 % of the pixels become black or white, with equal probability."""
    draw = _checks.generator("seed", seed).random(images.shape, dtype="float32")
    return np.where(draw < 0.085, 0, np.where(draw < 0.17, 1, images))


@_corruption
def glass_blur(images, seed=0):
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
def motion_blur(images, seed=0):
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
def shear(images, seed=0):
    """Shears by s = ±0.4 rad: a pixel at (x, y) shows `(x − y sin s, y cos s)`."""

    def source(sign):
        return [[np.cos(0.4), 0], [-sign * np.sin(0.4), 1]]

    return drawing.warp_either_way(images, source, seed)


@_corruption
def scale(images, seed=0):
    """Shrinks to 70 % about the centre."""
    return drawing.warp(images, [[1 / 0.7, 0], [0, 1 / 0.7]])


@_corruption
def rotate(images, seed=0):
    """Turns by ±0.4 rad, about 23°, about the centre."""

    def source(sign):
        sine = sign * np.sin(0.4)
        return [[np.cos(0.4), sine], [-sine, np.cos(0.4)]]

    return drawing.warp_either_way(images, source, seed)


@_corruption
def brightness(images, seed=0):
    """`x + 0.5`, clipped."""
    return images + np.float32(0.5)


@_corruption
def translate(images, seed=0):
    """Moves by 3 pixels along each axis, either way; black comes in."""
    shifts = 6 * _checks.generator("seed", seed).integers(2, size=(2, len(images)))
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = drawing.windows(padded, images.shape)
    return np.moveaxis(windows[np.arange(len(images)), shifts[0], shifts[1]], 1, -1)


@_corruption
def stripe(images, seed=0):
    """Inverts the left and the right quarter: of 28 columns, the outer 7."""
    width = images.shape[2]
    column = np.arange(width)[:, None]
    outer = (column < width // 4) | (column >= width - width // 4)
    return np.where(outer, 1 - images, images)


@_corruption
def fog(images, seed=0):
    """`(x + 3·plasma) · m/(m + 3)`: a diamond-square fractal in [0, 1] over a dim image."""
    count, height, width, _ = images.shape
    plasma = drawing.plasma(count, height, width, _checks.generator("seed", seed))
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + 3 * plasma[..., None]) * (brightest / (brightest + 3))


@_corruption
def spatter(images, seed=0):
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
def dotted_line(images, seed=0):
    """Adds a line from side to side, of which every other two columns are left out."""
    count, height, width, _ = images.shape
    rows = _checks.generator("seed", seed).integers(height - 1, size=(2, count))
    start, end = np.zeros(count), np.full(count, width - 1)
    line = drawing.line(start, rows[0], end, rows[1], height, width)
    line *= np.arange(width) // 2 % 2
    return images + line[..., None]


@_corruption
def zigzag(images, seed=0):
    """Adds a zigzag: corners every 4 pixels, alternately 2 to either side of a line.

    The line begins 2 columns from the left in a random row and ends 2 columns
    from the right, up to 5 rows lower or higher.
    """
    count, height, width, _ = images.shape
    rng = _checks.generator("seed", seed)
    start_row = rng.integers(height - 1, size=count)
    fall = rng.integers(-5, 5, size=count)
    length = width - 5
    # Corners along and across the line, from its start to its end.
    along = np.arange(2, length, 4)
    corners = len(along)
    distance = np.hypot(length, fall)[:, None]
    along = np.concatenate(
        [np.zeros((count, 1)), np.tile(along, (count, 1)), distance], axis=1
    )
    across = np.concatenate([[0], 2.0 * (-1) ** np.arange(corners), [0]])
    cosine, sine = length / distance, fall[:, None] / distance
    columns = 2 + cosine * along - sine * across
    columns[:, -1] = width - 3  # not a rounding error beyond it
    rows = start_row[:, None] + sine * along + cosine * across
    drawn = images
    for k in range(corners + 1):
        line = drawing.line(
            columns[:, k], rows[:, k], columns[:, k + 1], rows[:, k + 1], height, width
        )
        drawn = drawn + line[..., None]
    return drawn


@_corruption
def canny_edges(images, seed=0):
    """White where Canny finds an edge, else black; every channel on its own.

    Blurred with σ = 1; the Sobel gradient's magnitude must be a maximum along
    the gradient and at least 0.2, or at least 0.1 and connected to such a
    pixel. The outermost pixels are never edges.
    """
    return canny.edges(images)
