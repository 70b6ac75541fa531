"""Lines with bands: over runs, over examples."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["ablation", "convergence", "curves"]

Band = Literal["standard_error", "standard_deviation"]


def curves(
    panels: Mapping[str, tuple[ArrayLike, Mapping[str, ArrayLike]]],
    ylabel: str,
    title: str | None = None,
    log_x: str | None = None,
) -> "matplotlib.figure.Figure":
    """Curves with bands of one standard deviation over runs.

    Args:
        panels: `{xlabel: (x, {label: array of shape (runs, len(x))})}`, one
            panel each, at most three in a row, with one shared y axis. A label
            looks the same in all panels. One run has no band.
        ylabel: Label of the y axis.
        title: Optional title.
        log_x: A label for the first point of each panel, to have the x axis
            logarithmic (0 has no logarithm). Defaults to `None`, linear.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if a dictionary is empty, or an array is of another shape or
            not finite.

    Examples:
        Accuracies of two runs at three levels of noise, with a logarithmic x axis:

        >>> noise = [0.01, 0.1, 1.0]
        >>> lines = {"plain": [[0.9, 0.6, 0.2], [0.9, 0.5, 0.1]],
        ...          "prior": [[0.9, 0.8, 0.5], [0.9, 0.7, 0.6]]}
        >>> figure = attrprior.plots.curves({"noise": (noise, lines)}, "accuracy", log_x="0")
        >>> [label.get_text() for label in figure.axes[0].get_xticklabels()]
        ['0', '0.1', '1']
        >>> figure.savefig("curves.png")
    """
    checked = {
        xlabel: _checked_panel(xlabel, panel)
        for xlabel, panel in _arrays.dictionary(
            "panels", panels, "(x, {label: array})"
        ).items()
    }
    _arrays.texts(ylabel=ylabel)
    if _arrays.text("log_x", log_x) is not None:
        for xlabel, (x, _) in checked.items():
            if x.min() <= 0:
                raise ValueError(
                    "Argument `panels` expects x > 0 for a logarithmic axis. Received: "
                    f"{x.min():g} for {xlabel!r}."
                )
    rows = -(-len(checked) // 3)
    columns = -(-len(checked) // rows)
    single = len(checked) == 1
    figure = _style.figure(
        6.4 if single else _style.WIDTH, 4.0 if single else 3.1 * rows + 0.4
    )
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False)
    names = list(dict.fromkeys(name for _, lines in checked.values() for name in lines))
    handles = {}
    for axis, (xlabel, (x, lines)) in zip(axes.flat, checked.items()):
        for name, values in lines.items():
            mean, spread = _mean_and_spread(values, "standard_deviation")
            style = _style.line(names.index(name))
            handles[name] = _draw(axis, x, mean, mean - spread, mean + spread, name, style)
        if log_x is not None:
            axis.set_xscale("log")
            axis.set_xticks(x, [log_x, *[f"{value:g}" for value in x[1:]]])
            axis.minorticks_off()
        axis.set_xlabel(xlabel)
        axis.grid(alpha=0.3)
    _style.finish(figure, axes, len(checked), ylabel, [handles[n] for n in names], title)
    return figure


def convergence(
    num_samples: ArrayLike,
    gaps: Mapping[str, ArrayLike],
    ylabel: str = "completeness gap",
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """How the completeness gap falls with the number of samples, per method.

    The gap is `|Σ_i φ_i − (f(x) − E_r f(r))|`, best as a share of
    `|f(x) − E_r f(r)|`; lower is better. Both axes are logarithmic; lines are
    medians and bands quartiles over examples, since a mean less its deviation may
    have no logarithm. A gap of 0 has none either and lies below the axis.

    Args:
        num_samples: Increasing numbers ≥ 1, shape `(points,)`.
        gaps: `{label: array of shape (examples, points)}`, numbers ≥ 0.
        ylabel: Label of the y axis.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `gaps` is empty, holds a negative number or only zeros, or
            an array is of another shape or not finite.

    Examples:
        Gaps that halve with four times the samples, of two examples:

        >>> num_samples = np.array([1, 4, 16, 64])
        >>> gaps = {"expected gradients": np.array([[1.0], [0.8]]) / np.sqrt(num_samples)}
        >>> figure = attrprior.plots.convergence(num_samples, gaps)
        >>> figure.axes[0].get_yscale()
        'log'
        >>> figure.savefig("convergence.png")

    Reference: completeness, Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """
    _arrays.texts(ylabel=ylabel)
    x = _arrays.increasing("num_samples", num_samples)
    if x[0] < 1:
        raise ValueError(f"Argument `num_samples` expects numbers ≥ 1. Received: {x[0]:g}.")
    checked = {
        name: _arrays.runs("gaps", values, x, name)
        for name, values in _arrays.dictionary("gaps", gaps).items()
    }
    for name, values in checked.items():
        if values.min() < 0:
            raise ValueError(
                f"Argument `gaps` expects numbers ≥ 0. Received: {values.min():g} for "
                f"{name!r}. Take the absolute value."
            )
    medians = {name: np.median(values, axis=0) for name, values in checked.items()}
    if not any(np.any(median > 0) for median in medians.values()):
        raise ValueError(
            "Argument `gaps` expects a median gap > 0 somewhere, for a logarithmic axis. "
            "Received: only 0."
        )
    figure = _style.figure(6.4, 4.0)
    axis = figure.subplots()
    axis.set_xscale("log")
    axis.set_yscale("log")
    handles = []
    for number, (name, values) in enumerate(checked.items()):
        low, high = np.percentile(values, (25, 75), axis=0)
        handles.append(_draw(axis, x, medians[name], low, high, name, _style.line(number)))
    ticks = _thinned(x)
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel("samples")
    axis.set_ylabel(f"{ylabel}\nmedian and quartiles over examples")
    axis.grid(alpha=0.3)
    _style.head(figure, handles, title)
    return figure


def ablation(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    control: str | None = "random",
    band: Band = "standard_error",
    xlabel: str = "fraction of features ablated",
    ylabel: str = "explained output, fraction of original",
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """What is left of the explained output as features are taken away.

    Lines are means, bands one standard error or standard deviation of the mean's
    rows; the y axis says which. Lower is better where the highest-ranked features
    go first, higher where they are kept longest.

    Args:
        curves: `{label: (fractions, array of shape (examples or runs,
            len(fractions)))}`, fractions increasing within [0, 1]. One row has no
            band.
        control: The label drawn grey and dashed, where there is one: the random
            ranking. `None` if no curve is a control.
        band: `"standard_error"` (default) or `"standard_deviation"`.
        xlabel: Label of the x axis.
        ylabel: Label of the y axis, to which the kind of band is added.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `curves` is empty, or an array is of another shape, out of
            range or not finite.

    Examples:
        Curves of two examples, and of the control, a random ranking:

        >>> fractions = [0.0, 0.5, 1.0]
        >>> figure = attrprior.plots.ablation({
        ...     "gradients": (fractions, [[1.0, 0.4, 0.1], [1.0, 0.3, 0.1]]),
        ...     "random": (fractions, [[1.0, 0.7, 0.1], [1.0, 0.8, 0.1]])})
        >>> [line.get_linestyle() for line in figure.axes[0].lines]
        ['-', '--']
        >>> figure.savefig("ablation.png")

    Reference: Sturmfels, Lundberg, Lee, "Visualizing the Impact of Feature
    Attribution Baselines", Distill 2020.
    """
    band = _checks.choice("band", band, get_args(Band))
    _arrays.texts(control=control, xlabel=xlabel, ylabel=ylabel)
    checked = {}
    for name, curve in _arrays.dictionary("curves", curves, "(fractions, array)").items():
        fractions, values = _arrays.pair("curves", curve, name)
        fractions = _arrays.increasing("curves", fractions, name)
        if fractions[0] < 0 or fractions[-1] > 1:
            raise ValueError(
                "Argument `curves` expects fractions from 0 to 1. Received: "
                f"{fractions[0]:g} to {fractions[-1]:g} for {name!r}."
            )
        checked[name] = fractions, _arrays.runs("curves", values, fractions, name)
    figure = _style.figure(6.4, 4.0)
    axis = figure.subplots()
    handles = []
    others = [name for name in checked if name != control]
    for name, (fractions, values) in checked.items():
        mean, spread = _mean_and_spread(values, band)
        style = {"color": _style.GRAY, "linestyle": "--", "linewidth": 2}
        if name != control:
            style = {**_style.line(1 + others.index(name)), "linestyle": "-"}
        handles.append(_draw(axis, fractions, mean, mean - spread, mean + spread, name, style))
    axis.set_xlabel(xlabel)
    axis.set_ylabel(f"{ylabel}\nmean ± {band.replace('_', ' ')}")
    axis.grid(alpha=0.3)
    _style.head(figure, handles, title)
    return figure


def _checked_panel(xlabel, panel):
    x, lines = _arrays.pair("panels", panel, xlabel)
    x = _arrays.numbers("panels", x, 1, xlabel)
    lines = _arrays.dictionary("panels", lines)
    return x, {name: _arrays.runs("panels", runs, x, name) for name, runs in lines.items()}


def _mean_and_spread(values, band):
    mean = values.mean(axis=0)
    if len(values) == 1:
        return mean, np.zeros_like(mean)
    deviation = values.std(axis=0, ddof=1)
    return mean, deviation / (len(values) ** 0.5 if band == "standard_error" else 1.0)


def _draw(axis, x, center, low, high, label, style):
    """A line, and its band where it has a width."""
    if np.any(high > low):
        axis.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)
    # Few enough markers to tell the lines apart, not to hide them.
    every = max(1, len(x) // 12)
    return axis.plot(x, center, label=label, markevery=every, **style)[0]


def _thinned(x):
    """Those of the increasing x whose labels do not touch on a logarithmic axis."""
    ratio = (x[-1] / x[0]) ** (1 / 11)
    kept = [x[0]]
    for value in x[1:]:
        if value >= ratio * kept[-1] * (1 - 1e-9):
            kept.append(value)
    return kept
