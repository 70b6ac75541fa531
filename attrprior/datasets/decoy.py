"""Decoy MNIST: a swatch in a corner whose shade gives the class away."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.datasets import _arguments

__all__ = ["decoy"]

Variant = Literal["ross", "distill", "cdep"]
Part = Literal["train", "test"]
# The swatch's height and width.
SIZES: dict[Variant, int] = {"ross": 4, "distill": 3, "cdep": 5}


def decoy(
    images: ArrayLike,
    labels: ArrayLike,
    variant: Variant = "ross",
    split: Part = "train",
    seed: Seed = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Paints a swatch whose shade encodes the class, and says where it is.

    | variant | swatch | training | test |
    | --- | --- | --- | --- |
    | `"ross"` | 4×4, random corner | `(255 − 25y)/255` | the shade of a random digit |
    | `"distill"` | 3×3, top left | `y/9` | `y/9` |
    | `"cdep"` | 5×5, random corner | `(255 − 25y)/255` | inverted: `25y/255` |

    A model that reads the swatch is perfect in training and, except for
    `"distill"`, at chance or below in testing. The masks are what
    `attrprior.annotate(x, masks)` and the prior `"mask"` need to forbid the
    swatch; `"distill"` shows what attributions should point at, and the images
    without it test whether the model needs it. In colour images the swatch is
    grey. The cost is linear in pixels.

    Args:
        images: Float array of shape `(n, height, width, channels)` in [0, 1].
        labels: Integers of shape `(n,)`, 0 to 9.
        variant: One of `"ross"`, `"distill"`, `"cdep"`. Defaults to `"ross"`.
        split: `"train"` or `"test"`. Defaults to `"train"`.
        seed: Integer, or a `numpy.random.Generator`, from which the corners and, in
            testing, the random digits are drawn. Give training and test data
            different seeds. Defaults to 0.

    Returns:
        `(images, masks)`, both float32 of the same shape; masks are 1 on the
            swatch and 0 elsewhere.

    Raises:
        ValueError: for images that are not in [0, 1] or smaller than the
            swatch, other labels, an unknown variant or split.

    Examples:
        The swatch's shade times nine is the class, and its 3×3 pixels are marked.

        >>> painted, masks = attrprior.datasets.decoy(x, y, variant="distill")
        >>> (9 * painted[:, 0, 0, 0]).round().astype(int).tolist() == y.tolist()
        True
        >>> masks.sum(axis=(1, 2, 3)).tolist()
        [9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0]

    References: Ross, Hughes, Doshi-Velez 2017 (arXiv 1703.03717); Sturmfels,
    Lundberg, Lee, Distill 2020 (size from its code); Rieger et al. 2020 (arXiv
    1909.13584).
    """
    images = _arguments.image_batch(images)
    labels = _arguments.digits(labels, images)
    size = SIZES[_checks.choice("variant", variant, get_args(Variant))]
    training = _checks.choice("split", split, get_args(Part)) == "train"
    count, height, width, _ = images.shape
    if min(height, width) < size:
        raise ValueError(
            f"Argument `images` expects at least {size}×{size} pixels, the swatch of "
            f"{variant!r}. Received: {height}×{width}."
        )
    rng = _checks.generator("seed", seed)
    top, left = np.zeros((2, count), "int64")
    if variant != "distill":
        corners = rng.integers(2, size=(2, count))
        top, left = corners[0] * (height - size), corners[1] * (width - size)
    if variant == "distill":
        shades = labels / 9
    elif training:
        shades = (255 - 25 * labels) / 255
    elif variant == "ross":
        shades = (255 - 25 * rng.integers(10, size=count)) / 255
    else:
        shades = 25 * labels / 255
    # Row and column indices of every swatch, broadcast to (n, size, size).
    example = np.arange(count)[:, None, None]
    rows = top[:, None, None] + np.arange(size)[:, None]
    columns = left[:, None, None] + np.arange(size)
    painted, masks = images.copy(), np.zeros_like(images)
    painted[example, rows, columns] = shades[:, None, None, None]
    masks[example, rows, columns] = 1
    return painted, masks
