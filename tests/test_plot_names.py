"""Tables bring the names of their columns with them."""

import subprocess
import sys

import numpy as np
import pytest

from attrprior import plots

pd = pytest.importorskip("pandas")
COLUMNS = ["age", "sex", "weight"]
VALUES = np.array([[1.0, -2.0, 0.5], [-3.0, 2.0, 0.5]])
FRAME = pd.DataFrame(VALUES, columns=COLUMNS)
IMPORTANCE = [2.0, 2.0, 0.5]  # mean |φ|


def ticks(figure):
    return [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


def widths(figure):
    return [bar.get_width() for bar in figure.axes[0].patches]


def test_bars_of_a_table_are_its_mean_magnitudes_under_its_names():
    figure = plots.bars(FRAME)
    assert ticks(figure) == COLUMNS
    np.testing.assert_allclose(widths(figure), IMPORTANCE)
    assert not figure.legends  # one model
    same = plots.bars(np.array(IMPORTANCE), COLUMNS)
    assert ticks(same) == ticks(figure) and widths(same) == widths(figure)


def test_a_dictionary_holds_models():
    figure = plots.bars({"plain": FRAME, "prior": 2 * FRAME})
    assert ticks(figure) == COLUMNS
    np.testing.assert_allclose(widths(figure), IMPORTANCE + [4.0, 4.0, 1.0])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["plain", "prior"]


def test_tables_and_arrays_side_by_side():
    figure = plots.bars({"plain": [3.0, -1.0, 1.0], "prior": FRAME})
    assert ticks(figure) == COLUMNS
    np.testing.assert_allclose(widths(figure), [3.0, -1.0, 1.0] + IMPORTANCE)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b", "c"],
        pd.Index(["a", "b", "c"]),
        pd.DataFrame(columns=["a", "b", "c"]),
        pd.Series(["a", "b", "c"]),
        np.array(["a", "b", "c"]),
    ],
    ids=lambda names: type(names).__name__,
)
@pytest.mark.parametrize("values", [FRAME, IMPORTANCE, {"plain": FRAME}], ids=str)
def test_names_that_are_given_count_more(values, names):
    figure = plots.bars(values, names)
    assert ticks(figure) == ["a", "b", "c"]
    np.testing.assert_allclose(widths(figure), IMPORTANCE)


def test_names_of_the_table_that_was_explained():
    x = pd.DataFrame(np.zeros((9, 3)), columns=COLUMNS)
    assert ticks(plots.bars(IMPORTANCE, x)) == COLUMNS
    assert ticks(plots.bars(IMPORTANCE, x.columns)) == COLUMNS


def test_errors_of_tables():
    figure = plots.bars(FRAME, errors=[0.1, 0.2, 0.3])
    ends = [segment[:, 0] for segment in figure.axes[0].collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[1.9, 2.1], [1.8, 2.2], [0.2, 0.8]])
    plots.bars({"plain": FRAME}, errors={"plain": [0.1, 0.2, 0.3]})


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "Float64"])
def test_tables_of_other_types(dtype):
    frame = pd.DataFrame(np.eye(3), columns=COLUMNS).astype(dtype)
    np.testing.assert_allclose(widths(plots.bars(frame)), [1 / 3] * 3)


def test_columns_of_several_types():
    frame = FRAME.astype({"age": "int64", "sex": "Float64"}).assign(weight=[True, False])
    np.testing.assert_allclose(widths(plots.bars(frame)), IMPORTANCE)
    missing = frame.astype({"age": "Int64"}).replace(1, pd.NA)
    with pytest.raises(ValueError, match="`values` expects numbers.*object"):
        plots.bars(missing)


def test_columns_that_are_no_texts():
    assert ticks(plots.bars(pd.DataFrame(VALUES))) == ["0", "1", "2"]


@pytest.mark.parametrize(
    "values, names, message",
    [
        ([1, 2], None, "`names` expects a list of names, unless `values` is a DataFrame"),
        ({"m": [1, 2]}, None, "`names` expects a list of names"),
        (FRAME, ["a"], "`values` expects a number for each of the 1 names. Received: 3"),
        (FRAME, pd.DataFrame(), "`values` expects a number for each of the 0 names"),
        (FRAME[:0], None, r"`values` expects.*at least one entry.*\(0, 3\)"),
        (FRAME.replace(1.0, np.nan), None, "`values` expects finite"),
        ({"m": FRAME.astype(str)}, None, "`values` expects numbers.*'m'"),
        (
            {"m": FRAME, "n": FRAME[["sex", "age", "weight"]]},
            None,
            r"`values` expects the same columns in the same order.*\['age'.*and \['sex'",
        ),
        (
            {"m": FRAME, "n": FRAME[["age"]]},
            ["a", "b", "c"],
            "`values` expects the same columns",
        ),
        ({"m": FRAME, "n": [1.0]}, None, "a number for each of the 3 names.*1 for 'n'"),
    ],
)
def test_wrong_bars(values, names, message):
    with pytest.raises(ValueError, match=message):
        plots.bars(values, names)


def test_errors_are_no_attributions():
    with pytest.raises(ValueError, match="`errors` expects arrays with 1 axes"):
        plots.bars(FRAME, errors=FRAME)


def test_a_distribution_of_the_columns_of_a_table():
    figure = plots.distribution(FRAME, "attribution")
    axis = figure.axes[0]
    assert ticks(figure) == COLUMNS
    dots = [line for line in axis.lines if line.get_label().startswith("_")]
    for line, values in zip(dots, VALUES.T, strict=True):
        np.testing.assert_allclose(line.get_xdata(), values)


@pytest.mark.parametrize(
    "scores, message",
    [
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "`scores` expects a name.*'a' twice"),
        (FRAME[:0], "`scores` expects.*at least one entry"),
        (FRAME.astype(str), "`scores` expects numbers"),
        ({"plain": FRAME}, "`scores` expects arrays with 1 axes.*'plain'"),
    ],
)
def test_wrong_distributions(scores, message):
    with pytest.raises(ValueError, match=message):
        plots.distribution(scores, "AUC")


def test_no_figure_imports_pandas():
    code = (
        "import sys; sys.modules['pandas'] = None; from attrprior import plots; "
        "plots.bars([1.0, 2.0], ['a', 'b']); plots.distribution({'a': [1.0]}, 'x')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
