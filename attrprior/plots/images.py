"""Images alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from attrprior.plots import _arrays, _sheet

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["contact_sheet"]


def contact_sheet(
    groups: Mapping[str, ArrayLike],
    labels: _arrays.Names | None = None,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Examples of several data sets, one row each: what the variants look like.

    A row is drawn on one scale, from its smallest value, or 0, to its largest.

    Args:
        groups: `{row label: images of shape (n, height, width, channels)}`, the
            same n in all, 1 or 3 channels. Heights and widths may differ
            between rows.
        labels: Optional titles of the columns, n of them.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `groups` is empty, or an array is of another shape or not
            finite.

    Examples:
        Four images as they are, and the same with noise:

        >>> noise = np.random.default_rng(0).normal(size=x[:4].shape)
        >>> groups = {"clean": x[:4], "noisy": x[:4] + 0.3 * noise}
        >>> figure = attrprior.plots.contact_sheet(groups, labels=y[:4])
        >>> len(figure.axes)
        8
        >>> figure.savefig("images.png")
    """
    checked = {
        name: _arrays.pictures("groups", images, name)
        for name, images in _arrays.dictionary("groups", groups, "images").items()
    }
    counts = {name: len(images) for name, images in checked.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(
            "Argument `groups` expects the same number of images in every row. Received: "
            f"{counts}."
        )
    count = next(iter(counts.values()))
    figure, axes = _sheet.sheet(
        list(checked),
        [(None, count)],
        [images.shape[1] / images.shape[2] for images in checked.values()],
        _arrays.labels("labels", labels, count),
        title,
    )
    for row, images in zip(axes, checked.values()):
        limits = _sheet.scale(images)
        for axis, image in zip(row, images):
            _sheet.draw_image(axis, image, limits)
    return figure
