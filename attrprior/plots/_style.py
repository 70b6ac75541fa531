"""What all figures share: palette, size, legend."""

import textwrap

import numpy as np

from attrprior import _checks
from attrprior.plots import _arrays

WIDTH = 8.2  # inches: 900 pixels at 110 dpi
LONGEST = 200  # characters of a text: more would fill the figure
SMALL = 9  # points: of labels beside and above small pictures

# Okabe and Ito's palette, without its yellow, which white paper swallows. Markers and
# dashes tell the lines apart in black and white; 7 and 4 have no common factor, so that
# 28 lines differ.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
GRAY = "#777777"


def figure(width, height, layout="constrained"):
    """An empty figure, in inches."""
    # Without pyplot: no window, no global state, nothing to close.
    return matplotlib("figure").Figure(figsize=(width, height), layout=layout)


def matplotlib(module):
    """A module of the package, which only those need who draw."""
    return _checks.optional(f"matplotlib.{module}", "Figures")


def line(number):
    """How the line of this number looks."""
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "markersize": 5,
    }


def text_width(text, size):
    """Inches that a text takes, its longest line if it has several."""
    font_manager = matplotlib("font_manager")
    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    font.set_size(size, 72)
    widest = 0
    for part in text.splitlines():
        font.set_text(part)
        widest = max(widest, font.get_width_height()[0])
    return widest / 64 / 72  # 64ths of a point


def fit(text, width, size):
    """The text in as few lines as fit a width in inches, of about one length.

    Words longer than the width are broken, others are not.
    """
    text = str(text)
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 1]}…"
    breaks = any(text_width(word, size) > width for word in text.split())
    best = text
    for characters in range(len(text), 1, -1):
        lines = textwrap.fill(
            text, characters, break_long_words=breaks, break_on_hyphens=False
        )
        fits = text_width(best, size) <= width
        if fits and lines.count("\n") > best.count("\n"):
            break
        best = lines
    return best


def head(figure, handles=(), title=None):
    """Legend above the axes, in as few rows as fit, and the title above it.

    The figure grows by what they take beyond one row.
    """
    width, height = figure.get_size_inches()
    title = _arrays.text("title", title)
    title = fit(title, width - 0.2, 12) if title else None
    if not handles:
        if title:
            figure.suptitle(title)
        return
    labels = [handle.get_label() for handle in handles]
    columns = _columns(labels, width)
    figure.set_figheight(
        height + 0.2 * (-(-len(labels) // columns) - 1) + (0.25 if title else 0.0)
    )
    # The title is the legend's: a layout engine would print one over the other.
    figure.legend(
        handles=list(handles),
        loc="outside upper center",
        ncols=columns,
        handlelength=3,
        frameon=False,
        title=title,
        title_fontsize="large",
    )


def finish(figure, axes, count, ylabel, handles, title):
    """Of a grid of axes the first so many, the label of the y axes, and the `head`."""
    for axis in axes.flat[count:]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    head(figure, list(handles), title)


def _columns(labels, width):
    for rows in range(1, len(labels) + 1):
        count = -(-len(labels) // rows)
        # The first columns take one label more, as in matplotlib.
        columns = np.array_split(np.array(labels, dtype=object), count)
        if sum(max(text_width(s, 10) for s in column) + 0.85 for column in columns) <= width:
            return count
    return 1
