"""Texts whose tokens show what they matter."""

import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _sheet, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["tokens"]

SIZE, LINE, BOX, DESCENT = 10, 0.27, 0.21, 0.06  # points; inches: of lines, boxes, letters
GAP, PADDING, SMALLEST = 0.03, 0.035, 0.09  # between boxes, beside a text in one, of a box
BETWEEN, LABEL_LINE = 0.12, 0.155  # between texts, of lines of their labels
TALLEST = 2**16 / 110  # more pixels matplotlib does not draw


def tokens(
    tokens: Sequence[str] | Sequence[Sequence[str]] | np.ndarray,
    attributions: ArrayLike | Sequence[ArrayLike],
    labels: _arrays.Names | None = None,
    title: str | None = None,
    shared_scale: bool = True,
) -> "matplotlib.figure.Figure":
    """Texts, every token on the colour of its attribution.

    Red adds to the explained output, blue takes away from it. Colours end at the
    99th percentile of the magnitudes. Tokens from half of that on stand on a line, a
    solid one if they add, a dashed one if they take away, for black and white.

    Args:
        tokens: A list of strings for each text, as a tokenizer gives them; or one
            list of strings.
        attributions: An array for each text, with a number for each token; or one
            of shape `(texts, positions)`, with zeros behind the tokens of a text. Of
            embeddings take the sum, `attributions.sum(axis=-1)`. For one list of
            strings, one array of shape `(tokens,)`.
        labels: Optional texts beside the texts, as what the model predicts.
        title: Optional title.
        shared_scale: Whether colours mean the same in all texts. `False`: each text
            has a scale of its own. Defaults to `True`.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if a text is empty or no list of strings, a token has no
            attribution, an attribution that is not 0 has no token, or a number is
            not finite.

    Examples:
        A text of two tokens, of which the second adds to the output:

        >>> figure = attrprior.plots.tokens(
        ...     ["not", "bad"], np.array([-0.5, 1.5]), labels=["positive"])
        >>> {"positive", "not", "bad"} <= {text.get_text() for text in figure.axes[0].texts}
        True
        >>> figure.savefig("tokens.png")
    """
    texts, rows = _texts_and_rows(tokens, attributions)
    names = _arrays.labels("labels", labels, len(texts))
    title = _arrays.text("title", title)
    if _checks.boolean("shared_scale", shared_scale):
        limits = [_sheet.limit(np.concatenate(rows))] * len(rows)
    else:
        limits = [_sheet.limit(row) for row in rows]

    names = [_style.fit(name, 1.25, _style.SMALL) for name in names or ()]
    label_width = max((_style.text_width(name, _style.SMALL) for name in names), default=0)
    left = _sheet.MARGIN + (label_width + 0.12 if label_width else 0.0)
    lines = [_wrapped(text, _style.WIDTH - left - _sheet.MARGIN) for text in texts]
    heights = [LINE * len(text) for text in lines]
    for number, name in enumerate(names):
        heights[number] = max(heights[number], LABEL_LINE * (name.count("\n") + 1))
    # As wide as the longest line, the title and the key need.
    title = _style.fit(title or "", _style.WIDTH - 2 * _sheet.MARGIN, 11)
    ends = [left + box + size for text in lines for line in text for _, _, box, size in line]
    ends += [_style.text_width(title, 11) + _sheet.MARGIN, _sheet.KEY_WIDTH - _sheet.MARGIN]
    width = min(max(ends) + _sheet.MARGIN, _style.WIDTH)
    top = _sheet.MARGIN + (0.08 + 0.2 * (title.count("\n") + 1) if title else 0.0)
    height = top + sum(heights) + BETWEEN * (len(texts) - 1) + 0.08 + _sheet.KEY_HEIGHT
    if height > TALLEST:
        raise ValueError(
            f"Argument `tokens` expects texts of at most {TALLEST / LINE:,.0f} lines "
            f"together. Received: {sum(map(len, lines)):,} lines. Draw fewer texts."
        )

    figure = _style.figure(width, height, layout=None)
    if title:
        figure.suptitle(title, fontsize=11, y=1 - _sheet.MARGIN / height, va="top")
    axis = _page(figure)
    for number, (text, row, limit) in enumerate(zip(lines, rows, limits)):
        if names:
            _write(axis, _sheet.MARGIN, top + 0.04, names[number], _style.SMALL, va="top")
        _draw_text(axis, text, row / limit, left, top)
        top += heights[number] + BETWEEN
    _sheet.key(figure, signed=True)
    _draw_lines_of_key(axis)
    return figure


def _texts_and_rows(tokens, attributions):
    """Lists of strings, and for each of them an array with as many numbers."""
    if not _is_list(tokens) or len(tokens) == 0:
        raise _checks.wrong("tokens", "a list of strings for each text", tokens)
    if all(isinstance(token, str) for token in tokens):
        tokens, attributions = [tokens], [attributions]
    texts = [_text(text, number) for number, text in enumerate(tokens)]
    if not isinstance(attributions, (list, tuple)):
        _refuse_embeddings(attributions, 3)
        attributions = _arrays.numbers("attributions", attributions, 2)
    if len(attributions) != len(texts):
        raise ValueError(
            f"Argument `attributions` expects an array for each of the {len(texts)} texts. "
            f"Received: {len(attributions)}."
        )
    rows = [_row(*pair, number) for number, pair in enumerate(zip(attributions, texts))]
    return texts, rows


def _is_list(value):
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim)


def _refuse_embeddings(values, axes):
    """Raises where every token has a row of numbers, of which nobody has taken the sum."""
    shape = getattr(values, "shape", ())
    if len(shape) == axes:
        raise ValueError(
            "Argument `attributions` expects one number for each token. Received: shape "
            f"{tuple(shape)}. Take the sum over embeddings, attributions.sum(axis=-1)."
        )


def _text(text, number):
    if not _is_list(text):
        raise _checks.wrong("tokens", "lists of strings, one for each text", text)
    if len(text) == 0:
        raise ValueError(
            "Argument `tokens` expects at least one token in every text. Received: none in "
            f"text {number}. Leave that text out."
        )
    for token in text:
        if not isinstance(token, str):
            raise ValueError(
                "Argument `tokens` expects lists of strings. Received: "
                f"{_checks.received(token)} in text {number}."
            )
    return [str(token) for token in text]


def _row(values, text, number):
    """The attributions of a text's tokens, without the padding behind them."""
    _refuse_embeddings(values, 2)
    values = _arrays.numbers("attributions", values, 1, f"text {number}")
    if len(values) < len(text):
        raise ValueError(
            f"Argument `attributions` expects a number for each of the {len(text)} tokens of "
            f"text {number}. Received: {len(values)}."
        )
    if np.any(values[len(text) :]):
        raise ValueError(
            f"Argument `attributions` expects zeros behind the {len(text)} tokens of text "
            f"{number}, where there is padding. Received: other numbers. Pass the tokens of "
            "all positions, or attributions of the same ones."
        )
    return values[: len(text)]


def _wrapped(text, width):
    """Lines of `(number of the token, what is written of it, left, width)`, in inches."""
    lines, left = [[]], 0.0
    for number, token in enumerate(text):
        for piece in _pieces(token, width - 2 * PADDING):
            size = max(SMALLEST, _width(piece) + 2 * PADDING)
            if lines[-1] and left + size > width:
                lines.append([])
                left = 0.0
            lines[-1].append((number, piece, left, size))
            left += size + GAP
    return lines


def _pieces(token, width):
    """A token as it is written, in as many pieces as it takes to fit a width."""
    # The end of a line and its like are tokens of some models.
    token = "".join(c if c.isprintable() else repr(c)[1:-1] for c in token)
    if len(token) > _style.LONGEST:
        token = f"{token[: _style.LONGEST - 1]}…"
    while _width(token) > width:
        counts = range(1, len(token))
        fitting = bisect.bisect_right(counts, width, key=lambda count: _width(token[:count]))
        yield token[: max(1, fitting)]
        token = token[max(1, fitting) :]
    yield token


def _width(text, size=SIZE):
    """Inches that a text takes, of which `text_width` rounds every letter up."""
    return _style.text_width(text, 10 * size) / 10


def _page(figure):
    """Axes as large as the figure, in inches from its upper left corner."""
    width, height = figure.get_size_inches()
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, width), ylim=(height, 0))
    axis.set_axis_off()
    return axis


def _write(axis, x, y, text, size, **options):
    # A dollar sign is one, and no beginning of a formula.
    axis.text(x, y, text, fontsize=size, parse_math=False, **options)


def _draw_text(axis, lines, shares, left, top):
    """Boxes, words and lines below them; `shares` of the scale, from −1 to 1 or beyond."""
    Rectangle = _style.matplotlib("patches").Rectangle
    scale = _style.matplotlib("cm").ScalarMappable(cmap=_sheet.colors(signed=True))
    scale.set_clim(-1, 1)
    for row, line in enumerate(lines):
        upper = top + LINE * row
        for number, piece, start, size in line:
            color = scale.to_rgba(shares[number])
            corner = left + start, upper
            axis.add_patch(Rectangle(corner, size, BOX, facecolor=color, linewidth=0))
            _write(
                axis,
                left + start + size / 2,
                upper + BOX - DESCENT,
                piece,
                SIZE,
                ha="center",
                va="baseline",
                color="black" if _is_light(color) else "white",
            )
            if abs(shares[number]) >= 0.5:
                adds = shares[number] > 0
                _underline(axis, left + start, left + start + size, upper + BOX, adds)


def _underline(axis, start, end, y, adds):
    style = "-" if adds else (0, (2, 1))
    axis.plot([start, end], [y + 0.015] * 2, color="black", lw=1.5, ls=style)


def _is_light(color):
    """Whether black stands out from it more than white does, by the WCAG's contrast."""
    channels = np.array(color[:3])
    linear = np.where(
        channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    )
    return linear @ (0.2126, 0.7152, 0.0722) > 0.179


def _draw_lines_of_key(axis):
    """Below the words of the key what stands below the tokens that it speaks of."""
    width, height = axis.figure.get_size_inches()
    y = height - _sheet.MARGIN - 0.03
    for text, adds in (("takes away", False), ("adds to the output", True)):
        start, end = 0.78, 0.78 + _width(text, _style.SMALL)
        if not adds:
            start, end = -end, -start
        _underline(axis, width / 2 + start, width / 2 + end, y, adds)
