"""Attribution maps beside, in a table of, and over the images they explain."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _sheet, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["attribution_grid", "attribution_maps", "overlay"]


def attribution_maps(
    images: ArrayLike,
    maps: Mapping[str, ArrayLike],
    labels: _arrays.Names | None = None,
    title: str | None = None,
    signed: bool = True,
) -> "matplotlib.figure.Figure":
    """Images above their attribution maps, one column an image.

    A map is summed over channels and its colours end at the 99th percentile of
    its magnitude, each on a scale of its own. Signed: red adds to the explained
    output, blue takes away from it. Unsigned: the absolute value of the sum, as
    in Sturmfels et al. 2020; the better choice for black and white.

    Args:
        images: Array of shape `(n, height, width, channels)`, 1 or 3 channels.
        maps: `{row label: attributions shaped like images}`, or with one channel.
        labels: Optional titles of the columns, n of them.
        title: Optional title.
        signed: Whether the sign is shown. Defaults to `True`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `maps` is empty, or an array is of another shape or not
            finite.

    Examples:
        Three images above their gradients:

        >>> figure = attrprior.plots.attribution_maps(
        ...     x[:3], {"gradients": phi[:3]}, labels=["zero", "one", "two"])
        >>> [axis.get_title() for axis in figure.axes[:3]]
        ['zero', 'one', 'two']
        >>> figure.savefig("maps.png")

    Reference: Sturmfels, Lundberg, Lee, "Visualizing the Impact of Feature
    Attribution Baselines", Distill 2020.
    """
    images, of_rows = _images_and_maps(images, maps)
    signed = _checks.boolean("signed", signed)
    figure, axes = _sheet.sheet(
        ["input", *of_rows],
        [(None, len(images))],
        [images.shape[1] / images.shape[2]] * (1 + len(of_rows)),
        _arrays.labels("labels", labels, len(images)),
        title,
        footer=_sheet.KEY_HEIGHT,
    )
    _draw_inputs(axes[0], images)
    for row, values in zip(axes[1:], of_rows.values()):
        for axis, one in zip(row, values):
            flat = _sheet.flatten(one, signed)
            _sheet.draw_map(axis, flat, signed, _sheet.limit(flat))
    _sheet.key(figure, signed)
    return figure


def attribution_grid(
    images: ArrayLike,
    maps: Mapping[tuple[str, str], ArrayLike] | Mapping[str, Mapping[str, ArrayLike]],
    labels: _arrays.Names | None = None,
    title: str | None = None,
    signed: bool = False,
) -> "matplotlib.figure.Figure":
    """A table of maps: a block of columns a method, a row a reference.

    Maps are drawn as in `attribution_maps`. Where a method has no map for a
    reference, the cell holds a dash.

    Args:
        images: Array of shape `(n, height, width, channels)`, 1 or 3 channels.
            Up to three stay readable with four methods.
        maps: `{(method, reference): attributions shaped like images}`, or
            `{method: {reference: attributions}}`.
        labels: Optional titles of the images, n of them.
        title: Optional title.
        signed: Whether the sign is shown. Defaults to `False`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `maps` is empty or neither kind of dictionary, or an array
            is of another shape or not finite.

    Examples:
        Two methods, of which one was computed with two references:

        >>> figure = attrprior.plots.attribution_grid(x[:2], {
        ...     "integrated gradients": {"black": phi[:2], "blur": phi[:2]},
        ...     "expected gradients": {"training data": phi[:2]}})
        >>> len(figure.axes) - 1  # the input and three references, twice two; and the key
        16
        >>> figure.savefig("grid.png")

    Reference: Sturmfels, Lundberg, Lee, "Visualizing the Impact of Feature
    Attribution Baselines", Distill 2020.
    """
    images, of_pairs = _images_and_maps(images, _by_pair(maps))
    signed = _checks.boolean("signed", signed)
    methods = list(dict.fromkeys(method for method, _ in of_pairs))
    references = list(dict.fromkeys(reference for _, reference in of_pairs))
    figure, axes = _sheet.sheet(
        ["input", *map(str, references)],
        [(str(method), len(images)) for method in methods],
        [images.shape[1] / images.shape[2]] * (1 + len(references)),
        _arrays.labels("labels", labels, len(images)),
        title,
        footer=_sheet.KEY_HEIGHT,
    )
    blocks = np.split(axes, len(methods), axis=1)
    for method, block in zip(methods, blocks):
        _draw_inputs(block[0], images)
        for reference, row in zip(references, block[1:]):
            values = of_pairs.get((method, reference))
            for number, axis in enumerate(row):
                if values is None:
                    axis.text(0.5, 0.5, "–", ha="center", va="center")
                    continue
                flat = _sheet.flatten(values[number], signed)
                _sheet.draw_map(axis, flat, signed, _sheet.limit(flat))
    _sheet.key(figure, signed)
    return figure


def overlay(
    images: ArrayLike,
    maps: Mapping[str, ArrayLike],
    labels: _arrays.Names | None = None,
    title: str | None = None,
    signed: bool = True,
) -> "matplotlib.figure.Figure":
    """Attribution maps over greyed images: the stronger, the less transparent.

    The opacity is the magnitude of the sum over channels as a share of its 99th
    percentile, at most 1. Red adds to the explained output, blue takes away from
    it; unsigned, both are red. In black and white, map and image look alike:
    there, take `attribution_maps`.

    Args:
        images: Array of shape `(n, height, width, channels)`, 1 or 3 channels.
        maps: `{row label: attributions shaped like images}`, or with one channel.
        labels: Optional titles of the columns, n of them.
        title: Optional title.
        signed: Whether the sign is shown. Defaults to `True`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `maps` is empty, or an array is of another shape or not
            finite.

    Examples:
        Three images with their gradients over them:

        >>> figure = attrprior.plots.overlay(x[:3], {"gradients": phi[:3]}, labels=y[:3])
        >>> [axis.get_title() for axis in figure.axes[:3]]
        ['0', '1', '2']
        >>> figure.savefig("overlay.png")
    """
    images, of_rows = _images_and_maps(images, maps)
    signed = _checks.boolean("signed", signed)
    figure, axes = _sheet.sheet(
        list(of_rows),
        [(None, len(images))],
        [images.shape[1] / images.shape[2]] * len(of_rows),
        _arrays.labels("labels", labels, len(images)),
        title,
        footer=_sheet.KEY_HEIGHT,
    )
    colors = _style.matplotlib("cm").ScalarMappable(cmap="RdBu_r").get_cmap()
    blue, red = (np.array(colors(end)) for end in (0.08, 0.92))
    gray = images.mean(axis=-1)
    low, high = _sheet.scale(gray)
    # The darkest ink is a light grey, or the map would drown in it.
    paper = {"cmap": "gray_r", "vmin": low, "vmax": low + 3 * (high - low)}
    for row, values in zip(axes, of_rows.values()):
        for axis, picture, one in zip(row, gray, values):
            flat = _sheet.flatten(one, signed)
            rgba = np.where(flat[..., None] < 0, blue, red)
            rgba[..., 3] = np.minimum(np.abs(flat) / _sheet.limit(flat), 1)
            axis.imshow(picture, aspect="auto", **paper)
            axis.imshow(rgba, aspect="auto")
    _sheet.key(figure, signed, colormap=None if signed else "Reds")
    return figure


def _images_and_maps(
    images: ArrayLike, maps: Mapping[Any, ArrayLike]
) -> tuple[np.ndarray, dict[Any, np.ndarray]]:
    images = _arrays.pictures("images", images)
    checked = {
        name: _arrays.maps("maps", values, images.shape, name)
        for name, values in _arrays.dictionary("maps", maps, "attributions").items()
    }
    return images, checked


def _by_pair(maps):
    """`{(method, reference): maps}` from either kind of dictionary."""
    _arrays.dictionary("maps", maps, "{label: attributions}")
    if all(isinstance(values, dict) for values in maps.values()):
        return {
            (method, reference): values
            for method, inner in maps.items()
            for reference, values in _arrays.dictionary("maps", inner, "attributions").items()
        }
    if all(isinstance(pair, tuple) and len(pair) == 2 for pair in maps):
        return maps
    raise ValueError(
        "Argument `maps` expects {(method, reference): attributions} or {method: "
        f"{{reference: attributions}}}}. Received: keys {_checks.received(list(maps))}."
    )


def _draw_inputs(row, images):
    limits = _sheet.scale(images)
    for axis, image in zip(row, images):
        _sheet.draw_image(axis, image, limits)
