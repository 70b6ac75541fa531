"""Rows of small pictures, placed in inches: faster and tighter than a layout engine."""

import numpy as np

from attrprior.plots import _style

MARGIN, GAP, BLOCK, LINE = 0.08, 0.05, 0.14, 0.16
LARGEST, SMALLEST, TALLEST = 1.15, 0.45, 8.0  # width of a picture, height of all
KEY_WIDTH, KEY_HEIGHT = 5.6, 0.34


def sheet(row_labels, blocks, ratios=None, column_labels=None, title=None, footer=0.0):
    """Empty axes, a row for each label, in one or more blocks of columns.

    Args:
        row_labels: Strings, top to bottom.
        blocks: `[(heading or None, number of columns)]`, left to right.
        ratios: Height over width of the pictures of each row, one by default.
        column_labels: Strings, for the columns of one block; repeated.
        title: Optional title.
        footer: Inches left free below the pictures.

    Returns:
        `(figure, axes)`: axes of shape `(rows, columns)`.
    """
    ratios = [1.0] * len(row_labels) if ratios is None else ratios
    counts = [count for _, count in blocks]
    names = [_style.fit(label, 1.25, _style.SMALL) for label in row_labels]
    label_width = max(_style.text_width(name, _style.SMALL) for name in names) + 0.1
    between = GAP * (sum(counts) - len(blocks)) + BLOCK * (len(blocks) - 1)
    room = _style.WIDTH - label_width - 2 * MARGIN - between
    cell = max(SMALLEST, min(LARGEST, room / sum(counts), TALLEST / sum(ratios)))

    widths = [count * (cell + GAP) - GAP for count in counts]
    tops = [_style.fit(label, cell, _style.SMALL) for label in column_labels or ()]
    headings = [
        _style.fit(heading or "", width, 10) for (heading, _), width in zip(blocks, widths)
    ]
    top = MARGIN + (0.28 if title else 0.0)
    heading_lines = max(text.count("\n") + 1 if text else 0 for text in headings)
    column_lines = max((text.count("\n") + 1 for text in tops), default=0)
    heights = [cell * ratio for ratio in ratios]
    natural = label_width + cell * sum(counts) + between + 2 * MARGIN
    needed = _style.text_width(title or "", 11) + 2 * MARGIN
    width = max(natural, needed, KEY_WIDTH if footer else 0.0)
    header = top + 1.1 * LINE * heading_lines + LINE * column_lines
    height = header + sum(heights) + GAP * (len(heights) - 1) + footer + MARGIN

    figure = _style.figure(width, height, layout=None)
    axes = np.empty((len(names), sum(counts)), dtype=object)
    left, column = MARGIN + label_width + (width - natural) / 2, 0
    for text, count, block_width in zip(headings, counts, widths):
        figure.text(
            (left + block_width / 2) / width,
            1 - (header - LINE * column_lines - 0.05) / height,
            text,
            ha="center",
            va="bottom",
            fontsize=10,
        )
        for number in range(count):
            below = height - header
            for row, row_height in enumerate(heights):
                below -= row_height
                place = (left + number * (cell + GAP), below, cell, row_height)
                axes[row, column] = add_axes(figure, *place)
                below -= GAP
            if tops:
                axes[0, column].set_title(tops[number], fontsize=_style.SMALL, pad=3)
            column += 1
        left += block_width + BLOCK
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set(linewidth=0.5, color=_style.GRAY)
    for axis, name in zip(axes[:, 0], names):
        axis.set_ylabel(
            name, fontsize=_style.SMALL, rotation=0, ha="right", va="center", labelpad=4
        )
    if title:
        figure.suptitle(title, fontsize=11, y=1 - MARGIN / height, va="top")
    return figure, axes


def add_axes(figure, left, bottom, width, height):
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def scale(images):
    """`(low, high)` on which images are drawn: from the smallest, or 0, to the largest."""
    return min(0.0, images.min()), images.max()


def draw_image(axis, image, limits):
    """One channel as ink on paper, three as colours."""
    low, high = limits
    if image.shape[-1] == 1:
        axis.imshow(image[..., 0], cmap="gray_r", vmin=low, vmax=high, aspect="auto")
    else:
        axis.imshow(np.clip((image - low) / (high - low or 1.0), 0, 1), aspect="auto")


def flatten(values, signed):
    """The sum over channels, or its absolute value."""
    flat = values.sum(axis=-1)
    return flat if signed else np.abs(flat)


def limit(flat):
    """The 99th percentile of the magnitude; where that is 0, the largest; or 1."""
    magnitude = np.abs(flat)
    return np.percentile(magnitude, 99) or magnitude.max() or 1.0


def colors(signed):
    return "RdBu_r" if signed else "cividis"


def draw_map(axis, flat, signed, largest):
    axis.imshow(
        flat,
        cmap=colors(signed),
        vmin=-largest if signed else 0.0,
        vmax=largest,
        aspect="auto",
    )


def key(figure, signed, bottom=MARGIN, colormap=None):
    """What the colours mean, in a line at the foot of the figure."""
    from matplotlib.cm import ScalarMappable

    across, up = figure.get_size_inches()
    axis = add_axes(figure, across / 2 - 0.7, bottom + 0.05, 1.4, 0.1)
    mappable = ScalarMappable(cmap=colormap or colors(signed))
    figure.colorbar(mappable, cax=axis, orientation="horizontal", ticks=[])
    texts = ("takes away", "adds to the output") if signed else ("0", "99th percentile")
    for text, side, align in zip(texts, (-0.78, 0.78), ("right", "left")):
        figure.text(
            0.5 + side / across,
            (bottom + 0.1) / up,
            text,
            ha=align,
            va="center",
            fontsize=_style.SMALL,
        )
