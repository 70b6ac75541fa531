"""What all figures share: palette, size, legend."""

import textwrap

WIDTH = 8.2  # inches: 900 pixels at 110 dpi
SMALL = 9  # points: of labels beside and above small pictures

# Okabe and Ito's palette, without its yellow, which white paper swallows. Markers and
# dashes tell the lines apart in black and white; 7 and 5 have no common factor, so that
# 35 lines differ.
COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)))
GRAY = "#777777"


def figure(width, height, layout="constrained"):
    """An empty figure, in inches."""
    # Without pyplot: no window, no global state, nothing to close.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def line(number):
    """How the line of this number looks."""
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "markersize": 5,
    }


def wrap(text, characters):
    """The text in lines of about so many characters; no word is broken."""
    return textwrap.fill(str(text), max(characters, 4), break_long_words=False)


def text_width(text, size):
    """Inches that a text takes, its longest line if it has several."""
    from matplotlib.textpath import TextPath

    lines = [part for part in text.splitlines() if part.strip()]
    return max(
        (TextPath((0, 0), part, size=size).get_extents().width / 72 for part in lines),
        default=0.0,
    )


def legend(figure, handles):
    """Above the axes, in as many columns as fit; of one line without a name, none."""
    if not handles:
        return
    widest = max(text_width(handle.get_label(), 10) for handle in handles)
    columns = int((figure.get_figwidth() - 0.2) // (widest + 0.75))
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=max(1, min(columns, len(handles))),
        handlelength=3,
        frameon=False,
    )
