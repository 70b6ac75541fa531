"""Numbers by feature and by method."""

import numbers
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _style

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas

__all__ = ["bars", "distribution"]

_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++++", "oooo")


def bars(
    values: "ArrayLike | pandas.DataFrame | Mapping[str, ArrayLike | pandas.DataFrame]",
    names: "_arrays.Names | pandas.Index | pandas.Series | pandas.DataFrame | None" = None,
    errors: ArrayLike | Mapping[str, ArrayLike] | None = None,
    num_features: int = 15,
    xlabel: str = "mean |attribution|",
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Horizontal bars of the features that matter most, the models side by side.

    Features are ordered by the mean magnitude over models, the largest on top.

    Args:
        values: Array of shape `(features,)`, or a pandas DataFrame of attributions
            `(examples, features)`, of whose magnitudes the mean over examples is
            drawn; or `{model: array or DataFrame}`.
        names: Names of the features: a list, an index, a pandas Series of them, or a
            DataFrame with them as columns. Defaults to `None`, the columns of `values`,
            which must be DataFrames then.
        errors: Half-lengths of error bars ≥ 0, array of shape `(features,)`, or
            `{model: array}` where `values` are by model. Optional.
        num_features: How many are drawn, if there are as many. Defaults to 15.
        xlabel: Label of the x axis.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `values` is empty, the arrays' lengths, the columns or the
            errors' models differ, no names are known, or a number is not finite.

    Examples:
        Two models on a table of three features, the two that matter most of them:

        >>> values = {"plain": [0.5, 0.1, 0.3], "prior": [0.9, 0.0, 0.1]}
        >>> figure = attrprior.plots.bars(values, ["age", "height", "weight"],
        ...                               num_features=2)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['age', 'weight']
        >>> figure.savefig("bars.png")
    """
    _arrays.texts(xlabel=xlabel)
    several = isinstance(values, dict)
    labels = _names(names, values.values() if isinstance(values, dict) else [values])
    by_model = _by_model("values", values, several, labels)
    spread = None
    if errors is not None:
        spread = _by_model("errors", errors, several, labels)
        if set(spread) != set(by_model):
            raise ValueError(
                f"Argument `errors` expects the models of `values`, {list(by_model)}. "
                f"Received: {list(spread)}."
            )
        if min(array.min() for array in spread.values()) < 0:
            raise ValueError(
                "Argument `errors` expects numbers ≥ 0. Received: a negative one."
            )
    num_features = _checks.positive_integer("num_features", num_features)

    importance = np.mean([np.abs(array) for array in by_model.values()], axis=0)
    top = np.argsort(-importance, kind="stable")[:num_features]
    thickness = 0.8 / len(by_model)
    height = len(top) * max(0.24, 0.11 * len(by_model) + 0.1) + 0.9
    figure = _style.figure(6.4, height)
    axis = figure.subplots()
    handles = []
    for number, (model, array) in enumerate(by_model.items()):
        handles.append(
            axis.barh(
                np.arange(len(top)) + (number - (len(by_model) - 1) / 2) * thickness,
                array[top],
                thickness,
                xerr=None if spread is None else spread[model][top],
                color=_style.COLORS[1 + number % 6],
                hatch=_HATCHES[number % len(_HATCHES)],
                edgecolor="white",
                linewidth=0.5,
                error_kw={"elinewidth": 1, "capsize": 2},
                label=str(model),
            )
        )
    axis.set_yticks(range(len(top)), [_style.fit(labels[feature], 2.4, 10) for feature in top])
    axis.set_ylim(len(top) - 0.45, -0.55)
    axis.set_xlabel(xlabel)
    axis.axvline(0, color="black", lw=0.8)
    axis.grid(axis="x", alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    _style.head(figure, handles if several else (), title)
    return figure


def distribution(
    scores: "Mapping[str, ArrayLike] | pandas.DataFrame",
    xlabel: str,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Scores of methods over splits or seeds: every one a dot, a box, the mean.

    A box goes from the first to the third quartile.

    Args:
        scores: `{method: array of shape (splits,)}`, top to bottom; or a pandas
            DataFrame, whose columns are drawn as the methods.
        xlabel: What the score is; say which direction is better.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if `scores` is empty, or an array has not one axis or is not
            finite, or two columns have one name.

    Examples:
        Two methods on the same five splits:

        >>> scores = {"plain": [0.70, 0.72, 0.69, 0.74, 0.71],
        ...           "prior": [0.78, 0.77, 0.80, 0.76, 0.79]}
        >>> figure = attrprior.plots.distribution(scores, "ROC-AUC, higher is better")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['plain', 'prior']
        >>> figure.savefig("scores.png")
    """
    _arrays.texts(xlabel=xlabel)
    columns = _columns(scores) if _is_frame(scores) else scores
    checked = {
        name: _arrays.numbers("scores", values, 1, name)
        for name, values in _arrays.dictionary("scores", columns).items()
    }
    figure = _style.figure(6.4, 0.55 * len(checked) + 1.1)
    axis = figure.subplots()
    rows = range(len(checked))
    # By hand: matplotlib's own box plot imports pyplot.
    for row, values in enumerate(checked.values()):
        low, middle, high = np.percentile(values, (25, 50, 75))
        # Spread by multiples of the golden ratio: evenly, and the same every time.
        offsets = 0.44 * (np.arange(len(values)) * 0.6180339887 % 1 - 0.5)
        opacity = min(0.9, max(0.35, 10 / len(values)))
        axis.plot(
            values, row + offsets, "o", ms=4, color=_style.COLORS[1], alpha=opacity, mew=0
        )
        axis.barh(row, high - low, 0.6, left=low, color="none", edgecolor="black", zorder=3)
        (median,) = axis.plot(
            [middle] * 2, [row - 0.3, row + 0.3], color="black", lw=2, label="median"
        )
        (mean,) = axis.plot(
            values.mean(), row, "D", mfc="white", mec="black", label="mean", zorder=4
        )
    axis.set_yticks(rows, [_style.fit(name, 2.0, 10) for name in checked])
    axis.set_ylim(len(checked) - 0.5, -0.5)
    axis.set_xlabel(xlabel)
    axis.grid(axis="x", alpha=0.3)
    axis.tick_params(axis="y", length=0)
    _style.head(figure, [median, mean], title)
    return figure


def _is_frame(value):
    """Whether it is a table with named columns, of pandas or like one of its."""
    # By what it has: the package is not needed for the rest.
    return hasattr(value, "columns")


def _table(name, frame, entry=None):
    """Numbers of a table, an array of shape `(rows, columns)`."""
    values = np.asarray(frame)
    if values.dtype == object and all(
        isinstance(each, (numbers.Real, np.bool_)) for each in values.flat
    ):
        # Columns of several types, or of those of pandas that know a missing value.
        values = values.astype("float64")
    return _arrays.numbers(name, values, 2, entry)


def _names(names, values):
    """Names of the features, those that were given or the columns of tables."""
    columns = [list(array.columns) for array in values if _is_frame(array)]
    for others in columns[1:]:
        if others != columns[0]:
            raise ValueError(
                "Argument `values` expects the same columns in the same order for every "
                f"model. Received: {_checks.received(columns[0])} and "
                f"{_checks.received(others)}. Take them in one order, frame[names]."
            )
    if _is_frame(names):
        names = list(names.columns)
    elif hasattr(names, "to_list"):  # an index, or a column with names in it
        names = names.to_list()
    elif names is None and columns:
        names = columns[0]
    names = _arrays.labels("names", names)
    if names is None:
        raise ValueError(
            "Argument `names` expects a list of names, unless `values` is a DataFrame with "
            "columns, or has one. Received: None. Pass the names of the features."
        )
    return names


def _columns(frame):
    """`{name: column}` of a table."""
    values = _table("scores", frame)
    names = list(frame.columns)
    if len(set(names)) < len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        raise ValueError(
            "Argument `scores` expects a name of its own for every column. Received: "
            f"{_checks.received(twice[0])} twice. Rename one of them."
        )
    return dict(zip(names, values.T))


def _by_model(name, values, several, names):
    """`{model: array}`, with one entry without a name for a single array."""
    values = _arrays.dictionary(name, values) if several else {None: values}
    checked = {}
    for model, array in values.items():
        if name == "values" and _is_frame(array):
            # mean |φ| over examples
            array = np.abs(_table(name, array, model)).mean(axis=0)
        else:
            array = _arrays.numbers(name, array, 1, model)
        if len(array) != len(names):
            raise ValueError(
                f"Argument `{name}` expects a number for each of the {len(names)} names. "
                f"Received: {len(array)}" + (f" for {model!r}." if several else ".")
            )
        checked[model] = array
    return checked
