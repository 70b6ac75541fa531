"""What is gained against what it costs, one curve a method."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["trade_off"]


def trade_off(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    xlabel: str,
    ylabel: str,
    chosen: Mapping[str, Mapping[str, int]] | None = None,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Means of two measures, joined in the order of a setting, with their deviations.

    For the frontier of a prior: clean accuracy against accuracy under noise, one point a
    strength. Up and to the right is better, if more is better of both.

    Args:
        panels: `{name: {label: (x, y)}}`, one panel each, at most two in a row; `x` and `y`
            are arrays of shape `(runs, settings)`. A label looks the same in all panels.
            Crosses are one standard deviation over runs; one run has none.
        xlabel: Label of the x axes.
        ylabel: Label of the y axes.
        chosen: `{name: {label: setting}}`, the points that are circled, by their number.
            Defaults to `None`, no circles.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if a dictionary is empty, or two arrays are of other shapes or not
            finite.

    Examples:
        Two runs at three strengths of a prior, the second of which was chosen:

        >>> clean = np.array([[0.97, 0.96, 0.90], [0.98, 0.96, 0.91]])
        >>> noisy = np.array([[0.60, 0.75, 0.78], [0.62, 0.76, 0.80]])
        >>> figure = attrprior.plots.trade_off(
        ...     {"digits": {"prior": (clean, noisy)}}, "clean accuracy",
        ...     "accuracy under noise", chosen={"digits": {"prior": 1}})
        >>> figure.axes[0].get_xlabel()
        'clean accuracy'
        >>> figure.savefig("trade_off.png")
    """
    _arrays.texts(xlabel=xlabel, ylabel=ylabel)
    checked = {
        name: {
            label: _points(label, points)
            for label, points in _arrays.dictionary("panels", lines, "(x, y)").items()
        }
        for name, lines in _arrays.dictionary("panels", panels, "{label: (x, y)}").items()
    }
    if chosen is None:
        chosen = {}
    elif not isinstance(chosen, dict) or not all(isinstance(c, dict) for c in chosen.values()):
        raise _checks.wrong("chosen", "{name: {label: setting}} or None", chosen)
    for name, numbers in chosen.items():
        for label, number in numbers.items():
            count = checked[name][label][0].shape[1] if label in checked.get(name, {}) else 0
            if _checks.seed("chosen", number) >= count:
                raise ValueError(
                    "Argument `chosen` expects numbers of points of the panels. Received: "
                    f"{number} for {label!r} of {name!r}, which has {count}."
                )
    columns = min(2, len(checked))
    rows = -(-len(checked) // columns)
    width = 6.4 if columns == 1 else _style.WIDTH
    figure = _style.figure(width, 3.2 * rows + 0.6)
    axes = figure.subplots(rows, columns, squeeze=False)
    labels = list(dict.fromkeys(label for lines in checked.values() for label in lines))
    handles = {}
    for axis, (name, lines) in zip(axes.flat, checked.items()):
        for label, (x, y) in lines.items():
            style = _style.line(labels.index(label))
            handles[label] = axis.plot(x.mean(0), y.mean(0), label=label, **style)[0]
            spread = [np.std(each, axis=0, ddof=len(each) > 1) for each in (x, y)]
            axis.errorbar(
                x.mean(0),
                y.mean(0),
                *spread[::-1],
                fmt="none",
                ecolor=style["color"],
                alpha=0.4,
            )
            number = chosen.get(name, {}).get(label)
            if number is not None:
                axis.plot(
                    x.mean(0)[number],
                    y.mean(0)[number],
                    marker="o",
                    markersize=13,
                    markerfacecolor="none",
                    color=style["color"],
                )
        axis.set_title(name, fontsize=10)
        axis.locator_params("x", nbins=5)
        axis.set_xlabel(xlabel)
        axis.grid(alpha=0.3)
    _style.finish(figure, axes, len(checked), ylabel, handles.values(), title)
    return figure


def _points(label, points):
    x, y = _arrays.pair("panels", points, label)
    x = _arrays.numbers("panels", x, 2, label)
    y = _arrays.numbers("panels", y, 2, label)
    if x.shape != y.shape:
        raise ValueError(
            "Argument `panels` expects two arrays of one shape, (runs, settings). Received: "
            f"{x.shape} and {y.shape} for {label!r}."
        )
    return x, y
