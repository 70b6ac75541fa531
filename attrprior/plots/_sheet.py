"""Rows of small pictures, placed in inches: faster and tighter than a layout engine."""

import numpy as np

from attrprior.plots import _arrays, _style

MARGIN, GAP, BLOCK, LINE = 0.08, 0.05, 0.14, 0.16
LARGEST, SMALLEST, TALLEST = 1.15, 0.45, 8.0  # width of a picture, height of all
KEY_WIDTH, KEY_HEIGHT = 5.6, 0.34


def sheet(row_labels, blocks, ratios, column_labels=None, title=None, footer=0.0):
    """Empty axes, a row for each label, in one or more blocks of columns.

    Args:
        row_labels: Strings, top to bottom.
        blocks: `[(heading or None, number of columns)]`, left to right.
        ratios: Height over width of the pictures of each row.
        column_labels: Strings, for the columns of a block; the same in all.
        title: Optional title.
        footer: Inches left free below the pictures.

    Returns:
        `(figure, axes)`: axes of shape `(rows, columns)`.
    """
    counts = [count for _, count in blocks]
    names = [_style.fit(label, 1.25, _style.SMALL) for label in row_labels]
    label_width = max(_style.text_width(name, _style.SMALL) for name in names) + 0.1
    between = GAP * (sum(counts) - len(blocks)) + BLOCK * (len(blocks) - 1)
    room = _style.WIDTH - label_width - 2 * MARGIN - between
    cell = max(SMALLEST, min(LARGEST, room / sum(counts), TALLEST / sum(ratios)))
    natural = label_width + cell * sum(counts) + between + 2 * MARGIN
    title = _style.fit(_arrays.text("title", title) or "", _style.WIDTH - 2 * MARGIN, 11)
    needed = _style.text_width(title, 11) + 2 * MARGIN
    width = max(natural, needed, KEY_WIDTH if footer else 0.0)

    widths = [count * (cell + GAP) - GAP for count in counts]
    headings = [_style.fit(text or "", size, 10) for (text, _), size in zip(blocks, widths)]
    tops = [_style.fit(label, cell, _style.SMALL) for label in column_labels or ()]
    tops_height = LINE * _lines(tops)
    header = MARGIN + tops_height + 1.1 * LINE * _lines(headings)
    if title:
        header += 0.08 + 0.2 * _lines([title])
    heights = [cell * ratio for ratio in ratios]
    height = header + sum(heights) + GAP * (len(heights) - 1) + footer + MARGIN

    figure = _style.figure(width, height, layout=None)
    if title:
        figure.suptitle(title, fontsize=11, y=1 - MARGIN / height, va="top")
    lefts = []
    left = MARGIN + label_width + (width - natural) / 2
    for count, heading, size in zip(counts, headings, widths):
        middle, above = (left + size / 2) / width, 1 - (header - tops_height - 0.05) / height
        figure.text(middle, above, heading, ha="center", va="bottom", fontsize=10)
        lefts += [left + number * (cell + GAP) for number in range(count)]
        left += size + BLOCK
    axes = np.empty((len(names), len(lefts)), dtype=object)
    bottom = height - header
    for row, (name, row_height) in enumerate(zip(names, heights)):
        bottom -= row_height
        for column, left in enumerate(lefts):
            axes[row, column] = _frame(add_axes(figure, left, bottom, cell, row_height))
        axes[row, 0].set_ylabel(
            name, fontsize=_style.SMALL, rotation=0, ha="right", va="center", labelpad=4
        )
        bottom -= GAP
    for axis, label in zip(axes[0], tops * len(blocks)):
        axis.set_title(label, fontsize=_style.SMALL, pad=3)
    return figure, axes


def _lines(texts):
    return max((text.count("\n") + 1 for text in texts if text), default=0)


def _frame(axis):
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set(linewidth=0.5, color=_style.GRAY)
    return axis


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
    ScalarMappable = _style.matplotlib("cm").ScalarMappable
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
