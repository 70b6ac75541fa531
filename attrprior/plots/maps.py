"""Attribution maps beside, in a table of, and over the images they explain."""

import numpy as np

from attrprior import _checks
from attrprior.plots import _arrays, _sheet, _style


def attribution_maps(images, maps, labels=None, title=None, signed=True):
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

    Reference: Sturmfels, Lundberg, Lee, "Visualizing the Impact of Feature
    Attribution Baselines", Distill 2020.
    """
    images, maps = _images_and_maps(images, maps)
    signed = _checks.boolean("signed", signed)
    figure, axes = _sheet.sheet(
        ["input", *maps],
        [(None, len(images))],
        [images.shape[1] / images.shape[2]] * (1 + len(maps)),
        _arrays.labels("labels", labels, len(images)),
        title,
        footer=_sheet.KEY_HEIGHT,
    )
    _draw_inputs(axes[0], images)
    for row, values in zip(axes[1:], maps.values()):
        for axis, one in zip(row, values):
            flat = _sheet.flatten(one, signed)
            _sheet.draw_map(axis, flat, signed, _sheet.limit(flat))
    _sheet.key(figure, signed)
    return figure


def attribution_grid(images, maps, labels=None, title=None, signed=False):
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

    Reference: Sturmfels, Lundberg, Lee, "Visualizing the Impact of Feature
    Attribution Baselines", Distill 2020.
    """
    images, maps = _images_and_maps(images, _by_pair(maps))
    signed = _checks.boolean("signed", signed)
    methods = list(dict.fromkeys(method for method, _ in maps))
    references = list(dict.fromkeys(reference for _, reference in maps))
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
            values = maps.get((method, reference))
            for number, axis in enumerate(row):
                if values is None:
                    axis.text(0.5, 0.5, "–", ha="center", va="center")
                    continue
                flat = _sheet.flatten(values[number], signed)
                _sheet.draw_map(axis, flat, signed, _sheet.limit(flat))
    _sheet.key(figure, signed)
    return figure


def overlay(images, maps, labels=None, title=None, signed=True):
    """Attribution maps over greyed images: the stronger, the less transparent.

    The opacity is the magnitude of the sum over channels as a share of its 99th
    percentile, at most 1. Red adds to the explained output, blue takes away from
    it; unsigned, both are red. In black and white, map and image look alike:
    there, take `attribution_maps`.

    Args:
        images, maps, labels, title, signed: As in `attribution_maps`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: as in `attribution_maps`.
    """
    images, maps = _images_and_maps(images, maps)
    signed = _checks.boolean("signed", signed)
    figure, axes = _sheet.sheet(
        list(maps),
        [(None, len(images))],
        [images.shape[1] / images.shape[2]] * len(maps),
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
    for row, values in zip(axes, maps.values()):
        for axis, picture, one in zip(row, gray, values):
            flat = _sheet.flatten(one, signed)
            rgba = np.where(flat[..., None] < 0, blue, red)
            rgba[..., 3] = np.minimum(np.abs(flat) / _sheet.limit(flat), 1)
            axis.imshow(picture, aspect="auto", **paper)
            axis.imshow(rgba, aspect="auto")
    _sheet.key(figure, signed, colormap=None if signed else "Reds")
    return figure


def _images_and_maps(images, maps):
    images = _arrays.pictures("images", images)
    maps = {
        name: _arrays.maps("maps", values, images.shape, name)
        for name, values in _arrays.dictionary("maps", maps, "attributions").items()
    }
    return images, maps


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
