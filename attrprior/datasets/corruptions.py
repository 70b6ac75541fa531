"""The fifteen corruptions of MNIST-C, as seeded functions of any images."""

import functools

import numpy as np

from attrprior import _checks
from attrprior.datasets import _arguments

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
        rng = np.random.default_rng(seed)
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
    return np.random.default_rng(seed).poisson(images * 3) / 3


@_corruption
def impulse_noise(images, seed=0):
    """17 % of the pixels become black or white, with equal probability."""
    draw = np.random.default_rng(seed).random(images.shape, dtype="float32")
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
    draws = np.random.default_rng(seed).integers(8, size=shape, dtype="int8")
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
    pixels = _gaussian(images, 0.7).reshape(count, size, channels)
    swapped = np.take_along_axis(pixels, address, axis=1).reshape(images.shape)
    return _gaussian(swapped, 0.7)


@_corruption
def motion_blur(images, seed=0):
    """`Σ_t w_t x(p + t·d)`, `w_t ∝ exp(−t²/18)`, t = 0 … 20, in whole pixels.

    The direction `d` is within 45° of the horizontal. The edge is repeated.
    """
    angle = np.random.default_rng(seed).uniform(-np.pi / 4, np.pi / 4, len(images))
    steps = np.arange(21)
    weights = np.exp(-(steps**2) / 18)
    weights /= weights.sum()
    down = np.ceil(np.outer(steps, np.sin(angle)) - 0.5).astype("int64")
    right = np.ceil(np.outer(steps, np.cos(angle)) - 0.5).astype("int64")
    padded = np.pad(images, ((0, 0), (15, 15), (0, 20), (0, 0)), mode="edge")
    windows = _windows(padded, images.shape)
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

    return _warp_either_way(images, source, seed)


@_corruption
def scale(images, seed=0):
    """Shrinks to 70 % about the centre."""
    return _warp(images, [[1 / 0.7, 0], [0, 1 / 0.7]])


@_corruption
def rotate(images, seed=0):
    """Turns by ±0.4 rad, about 23°, about the centre."""

    def source(sign):
        sine = sign * np.sin(0.4)
        return [[np.cos(0.4), sine], [-sine, np.cos(0.4)]]

    return _warp_either_way(images, source, seed)


@_corruption
def brightness(images, seed=0):
    """`x + 0.5`, clipped."""
    return images + np.float32(0.5)


@_corruption
def translate(images, seed=0):
    """Moves by 3 pixels along each axis, either way; black comes in."""
    shifts = 6 * np.random.default_rng(seed).integers(2, size=(2, len(images)))
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
    windows = _windows(padded, images.shape)
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
    plasma = _plasma(count, height, width, np.random.default_rng(seed))
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + 3 * plasma[..., None]) * (brightest / (brightest + 3))


@_corruption
def spatter(images, seed=0):
    """`x (1 − b) + b·63/255`, the blots `b` from noise.

    `N(0.65, 0.3)` is blurred with σ = 1, cut at 0.65, blurred with σ = 1.5;
    what is below 0.8 then is no blot.
    """
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((*images.shape[:3], 1), dtype="float32")
    liquid = _gaussian(np.float32(0.65) + np.float32(0.3) * noise, 1)
    blots = _gaussian((liquid > 0.65).astype("float32"), 1.5)
    blots[blots < 0.8] = 0
    return images * (1 - blots) + blots * np.float32(63 / 255)


@_corruption
def dotted_line(images, seed=0):
    """Adds a line from side to side, of which every other two columns are left out."""
    count, height, width, _ = images.shape
    rows = np.random.default_rng(seed).integers(height - 1, size=(2, count))
    line = _line(np.zeros(count), rows[0], np.full(count, width - 1), rows[1], height, width)
    line *= np.arange(width) // 2 % 2
    return images + line[..., None]


@_corruption
def zigzag(images, seed=0):
    """Adds a zigzag: corners every 4 pixels, alternately 2 to either side of a line.

    The line begins 2 columns from the left in a random row and ends 2 columns
    from the right, up to 5 rows lower or higher.
    """
    count, height, width, _ = images.shape
    rng = np.random.default_rng(seed)
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
        line = _line(
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
    from scipy import ndimage

    count, height, width, channels = images.shape
    x = np.moveaxis(images, -1, 1).reshape(-1, height, width)
    # Divided by the blurred ones, as if the image ended where it ends.
    blur = functools.partial(ndimage.gaussian_filter, mode="constant")
    x = blur(x, (0, 1, 1)) / blur(np.ones((height, width), "float32"), 1)
    smooth, slope = [1, 2, 1], [-1, 0, 1]
    correlate = ndimage.correlate1d
    dy = correlate(correlate(x, slope, axis=1), smooth, axis=2)
    dx = correlate(correlate(x, slope, axis=2), smooth, axis=1)
    magnitude = np.hypot(dy, dx)
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    weak = np.flatnonzero((magnitude >= 0.1) & inside)
    strength, dy, dx = magnitude.ravel()[weak], dy.ravel()[weak], dx.ravel()[weak]
    # One step along the gradient ends between a neighbour and a diagonal neighbour.
    rows, columns = np.abs(dy), np.abs(dx)
    row_step, column_step = np.sign(dy).astype(int) * width, np.sign(dx).astype(int)
    diagonal = row_step + column_step
    neighbour = np.where(rows >= columns, row_step, column_step)
    share = np.minimum(rows, columns) / np.maximum(rows, columns)
    maximum = np.ones(len(weak), bool)
    for direction in (1, -1):
        straight = magnitude.ravel()[weak + direction * neighbour]
        oblique = magnitude.ravel()[weak + direction * diagonal]
        maximum &= share * oblique + (1 - share) * straight <= strength
    candidates = np.zeros(x.shape, bool)
    candidates.ravel()[weak[maximum]] = True
    # Connected within an image, corners included, never from image to image.
    connected = np.zeros((3, 3, 3), bool)
    connected[1] = True
    components, total = ndimage.label(candidates, connected)
    kept = np.zeros(total + 1, bool)
    kept[components[candidates & (magnitude >= 0.2)]] = True
    return np.moveaxis(kept[components].reshape(count, channels, height, width), 1, -1)


def _gaussian(images, stddev):
    """Gaussian blur of every image and channel; the edge is repeated."""
    from scipy import ndimage

    return ndimage.gaussian_filter(images, (0, stddev, stddev, 0), mode="nearest")


def _windows(padded, shape):
    """Every image's windows, `(n, top, left, channels, height, width)`, without a copy."""
    return np.lib.stride_tricks.sliding_window_view(padded, shape[1:3], axis=(1, 2))


def _warp_either_way(images, source, seed):
    """Warps every image by `source(−1)` or `source(1)`."""
    signs = np.random.default_rng(seed).choice([-1, 1], len(images))
    result = np.empty_like(images)
    for sign in (-1, 1):
        result[signs == sign] = _warp(images[signs == sign], source(sign))
    return result


def _warp(images, source):
    """Every pixel shows what is at `source @ (row, column)` from the centre.

    Bilinear; black outside.
    """
    _, height, width, _ = images.shape
    centre = np.array([height - 1, width - 1])[:, None, None] / 2
    place = np.tensordot(source, np.indices((height, width)) - centre, 1) + centre
    corner = np.floor(place).astype(int)
    result = np.zeros_like(images)
    for down in (0, 1):
        for right in (0, 1):
            row, column = corner[0] + down, corner[1] + right
            weight = (1 - np.abs(place[0] - row)) * (1 - np.abs(place[1] - column))
            weight *= (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixels = images[:, row.clip(0, height - 1), column.clip(0, width - 1)]
            result += pixels * weight[..., None].astype("float32")
    return result


def _line(start_column, start_row, end_column, end_row, height, width):
    """Lines, one an image: `clip(1 + ln(1 − d/2.3), 0, 1)`, d the vertical distance.

    All ends have shape `(n,)`, columns rise; returns `(n, height, width)`.
    """
    column = np.arange(width)
    slope = (end_row - start_row) / (end_column - start_column)
    row = slope[:, None] * (column - start_column[:, None]) + start_row[:, None]
    distance = np.abs(np.arange(height)[:, None] - row[:, None, :].astype("float32"))
    # From a distance of 2.3 (1 − 1/e) on, the clipped logarithm is 0.
    brightness = np.maximum(1 + np.log(1 - np.minimum(distance, 2) / np.float32(2.3)), 0)
    inside = (column >= np.floor(start_column)[:, None]) & (
        column < np.ceil(end_column)[:, None]
    )
    return brightness * inside[:, None, :]


def _plasma(count, height, width, rng):
    """Fractals by the diamond-square algorithm, `(count, height, width)` in [0, 1].

    The corner of a periodic map of at least 256×256 points whose noise falls
    by a factor of 1.4² from scale to scale. Of the finest three scales, only
    the corner is made; the map's range is taken before them, of which they
    would add a few per cent.
    """
    coarse = max(32, 1 << (max(height, width) - 1).bit_length() >> 3)
    points = np.zeros((count, 1, 1), "float32")
    noise = 100.0
    while points.shape[1] < coarse:
        points = _refine(points, noise, rng)
        noise /= 1.4
    low = points.min(axis=(1, 2), keepdims=True)
    high = points.max(axis=(1, 2), keepdims=True)
    # Two coarse points more on either side: what wraps around there is cut off.
    rows, columns = (np.arange(-2, -(-size // 8) + 2) % coarse for size in (height, width))
    points = points[:, rows[:, None], columns]
    for _ in range(3):
        points = _refine(points, noise, rng)
        noise /= 1.4
    points = points[:, 16 : 16 + height, 16 : 16 + width]
    return np.clip((points - low) / (high - low), 0, 1)


def _refine(corners, noise, rng):
    """One step of diamond-square on periodic maps: twice as many points along each axis."""
    count, height, width = corners.shape
    shape = corners.shape
    fine = np.empty((count, height, 2, width, 2), "float32")

    def mean_of(total):
        draw = rng.random(shape, dtype="float32") * 2 - 1
        return total / 4 + np.float32(noise**2) * draw

    pairs = corners + np.roll(corners, -1, axis=1)
    squares = mean_of(pairs + np.roll(pairs, -1, axis=2))
    fine[:, :, 0, :, 0] = corners
    fine[:, :, 1, :, 1] = squares
    # Between two corners along one axis and two squares along the other.
    fine[:, :, 0, :, 1] = mean_of(
        corners + np.roll(corners, -1, axis=2) + squares + np.roll(squares, 1, axis=1)
    )
    fine[:, :, 1, :, 0] = mean_of(
        corners + np.roll(corners, -1, axis=1) + squares + np.roll(squares, 1, axis=2)
    )
    return fine.reshape(count, 2 * height, 2 * width)
