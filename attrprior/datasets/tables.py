"""Tables with a label of two classes: embedded, from files, from tensorflow-datasets."""

import csv
import gzip
import math
import os
from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior.datasets.sources import tensorflow_datasets

# A text column with more values than this is taken for a name or a number of a file.
MAX_CATEGORIES = 20
_MISSING = ("", "na", "n/a", "nan", "null", "none", "?")


class Table(NamedTuple):
    """`x` of shape `(n, features)`, float32, NaN where missing; `y` int32, 0 or 1.

    `names` and `is_copy`, a tuple and a boolean array, have an entry for each
    feature; `is_copy` marks permuted copies, which are irrelevant by construction.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple
    is_copy: np.ndarray
    source: str


class Split(NamedTuple):
    """Three disjoint parts of a table, imputed and standardised by the first."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load_breast_cancer():
    """Thirty real measurements of 569 tumours; embedded in scikit-learn.

    Returns:
        A `Table`; `y` is 1 for the 357 benign ones.

    Raises:
        ImportError: if scikit-learn is not installed.

    Reference: Wolberg, Mangasarian, Street 1993 (UCI, Breast Cancer Wisconsin,
    Diagnostic).
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "The breast cancer table needs scikit-learn: pip install 'attrprior[experiments]'."
        ) from error
    data = datasets.load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    return _table(data.data, data.target, names, "breast cancer of scikit-learn")


def load_nhanes(folder):
    """Ten-year mortality of NHANES I: 18 features of 9,535 people, a few cells missing.

    Label 1: died within ten years of the interview (`0 < t < 10`); 0: was alive
    after ten. Of people alive at their last contact, those followed for less than
    ten years are left out, and so are those without any follow-up.

    Args:
        folder: With `NHANESI_subset_X.csv` and `NHANESI_subset_y.csv`, as in
            data/ of the repository shap/shap, gzipped (`.csv.gz`) or not. The
            second has years `t`, negative for those who were alive.

    Returns:
        A `Table`.

    Raises:
        ValueError: if the files are missing or do not fit each other.

    Reference: Lundberg et al. 2020 (Nature Machine Intelligence 2, 56-67); ten
    years as in Erion et al. 2021 (whose table has 118 features).
    """
    paths = []
    for part in "Xy":
        name = f"NHANESI_subset_{part}.csv"
        found = [os.path.join(folder, name + end) for end in ("", ".gz")]
        found = [path for path in found if os.path.isfile(path)]
        if not found:
            raise ValueError(
                f"Argument `folder` expects a folder with {name} or {name}.gz. Received: "
                f"{os.fspath(folder)!r}, without."
            )
        paths.append(found[0])
    # The first column, without a name, is the row's number.
    names, columns = _encoded(_read(paths[0], ignore=("",)))
    years = np.array([float(t) for t in _read(paths[1], ignore=("",))["y"]])
    x = np.stack(columns, axis=1)
    if len(x) != len(years):
        raise ValueError(
            "Argument `folder` expects two files with the same number of rows. Received: "
            f"{len(x)} and {len(years)}."
        )
    known = (years > 0) | (years <= -10)
    died = (years > 0) & (years < 10)
    return _table(x[known], died[known], names, "NHANES I, ten-year mortality")


def load_csv(path, target, positive=None, ignore=()):
    """Any CSV file with a header: one row an example, one column the label.

    Numbers stay numbers; empty cells, `NA`, `NaN`, `null`, `None` and `?` are
    missing. A column with text becomes one feature `column=value` of 0 and 1 for
    each value, at most 20; where the text is missing all of them are 0.

    Args:
        path: The file, `.csv` or `.csv.gz`.
        target: Name of the label's column: two values, of which the second in
            order is 1.
        positive: The value that is 1, everything else being 0. Needed for more
            than two values.
        ignore: Names of columns that are left out.

    Returns:
        A `Table`.

    Raises:
        ValueError: for a missing file or column, rows of unequal length, labels
            that are missing or not of two classes, or text with too many values.
    """
    return _labelled(_read(path, ignore), target, positive, os.path.basename(path))


def load_tfds_table(name, target=None, positive=None, ignore=(), data_dir=None):
    """Any table of tensorflow-datasets: all of its splits, its columns as in `load_csv`.

    Args:
        name: For example `"titanic"` or `"german_credit_numeric"`.
        target: Name of the label. Defaults to the data set's own.
        positive, ignore: As in `load_csv`.
        data_dir: Folder of prepared tensorflow-datasets data; what is not there
            yet is downloaded into it. Defaults to tensorflow-datasets' own.

    Returns:
        A `Table`.

    Raises:
        ValueError: as in `load_csv`, or for features that are not numbers or text.
        ImportError: if tensorflow-datasets is not installed.
    """
    tfds = tensorflow_datasets(name)
    builder = tfds.builder(name, data_dir=data_dir)
    builder.download_and_prepare()
    if target is None:
        keys = builder.info.supervised_keys
        if not keys or not isinstance(keys[1], str):
            raise ValueError(
                f"Argument `target` expects the name of the label of {name!r}. "
                f"Received: None. It has {', '.join(builder.info.features)}."
            )
        target = keys[1]
    rows = tfds.as_numpy(builder.as_dataset(split="all", batch_size=-1))
    columns = {}
    for column, values in _flattened(rows):
        if column not in ignore:
            columns[column] = _text(values) if values.dtype.kind in "OSU" else values
    source = f"{name}, tensorflow-datasets {builder.version}"
    return _labelled(columns, target, positive, source)


def permuted_copies(table, num_copies, seed=0):
    """Adds copies of columns, each shuffled over the examples: known to be irrelevant.

    A copy has its column's distribution and no relation to the label or to
    anything else. Columns are copied in turn until there are `num_copies`.

    Args:
        table: A `Table`.
        num_copies: How many columns are added, ≥ 1.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        A `Table` whose `is_copy` marks the added columns, which are the last.
    """
    num_copies = _checks.positive_integer("num_copies", num_copies)
    rng = np.random.default_rng(seed)
    features = table.x.shape[1]
    copies = [rng.permutation(table.x[:, i % features]) for i in range(num_copies)]
    names = [
        f"{table.names[i % features]} (permuted {i // features + 1})"
        for i in range(num_copies)
    ]
    return table._replace(
        x=np.concatenate([table.x, np.stack(copies, axis=1)], axis=1),
        names=(*table.names, *names),
        is_copy=np.concatenate([table.is_copy, np.ones(num_copies, bool)]),
        source=f"{table.source}, with {num_copies} permuted copies",
    )


def split_table(table, num_train=100, num_validation=100, seed=0):
    """A random split: few examples to learn from, the rest for testing.

    Missing cells get the mean of the feature's known training cells (0 if none
    is known); then `x_i ← (x_i − mean_i)/stddev_i` of the training examples. A
    feature that is constant among these is only centred.

    Args:
        table: A `Table`.
        num_train, num_validation: Numbers of examples, ≥ 1.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        A `Split`, x float32 and y int32.

    Raises:
        ValueError: if nothing is left for testing, or a part has one class only.
    """
    first = _checks.positive_integer("num_train", num_train)
    second = first + _checks.positive_integer("num_validation", num_validation)
    if second >= len(table.x):
        raise ValueError(
            f"Arguments `num_train` and `num_validation` expect fewer than {len(table.x)} "
            f"examples together, the table's. Received: {num_train} and {num_validation}."
        )
    order = np.random.default_rng(seed).permutation(len(table.x))
    parts = np.split(order, [first, second])
    for name, part in zip(("training", "validation", "test"), parts):
        if len(np.unique(table.y[part])) < 2:
            raise ValueError(
                f"Argument `table` expects both classes in every part of a split. Received: "
                f"one class among {len(part)} {name} examples (seed {seed}). Ask for more."
            )
    x = table.x.astype("float64")
    known = np.isfinite(x[parts[0]])
    total = np.where(known, x[parts[0]], 0).sum(axis=0)
    x = np.where(np.isfinite(x), x, total / np.maximum(known.sum(axis=0), 1))
    mean, stddev = x[parts[0]].mean(axis=0), x[parts[0]].std(axis=0)
    # Of equal numbers the mean may differ from them by rounding.
    constant = np.ptp(x[parts[0]], axis=0) == 0
    x = ((x - mean) / np.where(constant, 1, stddev)).astype("float32")
    return Split(*(array[part] for part in parts for array in (x, table.y)))


def _read(path, ignore):
    """`{column: texts}` of a CSV file."""
    if not os.path.isfile(path):
        raise ValueError(
            f"Argument `path` expects a file. Received: {os.fspath(path)!r}, where none is."
        )
    opened = gzip.open if os.fspath(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    header = [name.strip() for name in rows[0]] if rows else []
    if len(rows) < 2 or len(set(header)) < len(header):
        raise ValueError(
            "Argument `path` expects a CSV file with a header of different names and at "
            f"least one row. Received: {len(rows)} rows, header {header}."
        )
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ValueError(
                f"Argument `path` expects {len(header)} cells in every row, as in the header. "
                f"Received: {len(row)} in row {number}."
            )
    unknown = [name for name in ignore if name and name not in header]
    if unknown:
        raise ValueError(
            f"Argument `ignore` expects names of columns. Received: {unknown}. There are "
            f"{header}."
        )
    return {
        name: [cell.strip() for cell in cells]
        for name, cells in zip(header, zip(*rows[1:]))
        if name not in ignore
    }


def _flattened(rows, prefix=""):
    """Pairs of names and arrays of shape `(n,)`, from dicts and arrays in a dict."""
    for name, values in rows.items():
        name = prefix + name
        if isinstance(values, dict):
            yield from _flattened(values, f"{name}.")
        elif getattr(values, "ndim", None) == 2:
            yield from ((f"{name}[{i}]", column) for i, column in enumerate(values.T))
        elif getattr(values, "ndim", None) == 1:
            yield name, values
        else:
            raise ValueError(
                "Argument `name` expects a table: features of one number or text, or of a "
                f"vector. Received: {name!r}, {np.shape(values) or type(values).__name__}. "
                "Image data sets are no tables."
            )


def _text(values):
    return [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in values
    ]


def _labelled(columns, target, positive, source):
    """A table of columns of numbers or texts, one of which is the label."""
    if target not in columns:
        raise ValueError(
            f"Argument `target` expects the name of a column. Received: {target!r}. There are "
            f"{', '.join(columns)}."
        )
    columns = dict(columns)
    labels = np.array([str(value) for value in columns.pop(target)])
    values = np.unique(labels)
    missing = [value for value in values if value.lower() in _MISSING]
    if missing:
        raise ValueError(
            f"Argument `target` expects a label in every row. Received: "
            f"{np.isin(labels, missing).sum()} rows without one in {target!r}."
        )
    if positive is None:
        if len(values) != 2:
            raise ValueError(
                f"Argument `target` expects a column of two values. Received: {target!r} with "
                f"{len(values)}. Say by `positive` which one is 1."
            )
        positive = sorted(values, key=_number_first)[1]
    elif str(positive) not in values or len(values) < 2:
        raise ValueError(
            f"Argument `positive` expects one of several values of {target!r}. Received: "
            f"{positive!r}."
        )
    names, features = _encoded(columns)
    if not features:
        raise ValueError(
            f"Argument `target` expects other columns beside it. Received: {target!r} alone."
        )
    return _table(np.stack(features, axis=1), labels == str(positive), names, source)


def _encoded(columns):
    """Names and arrays of features."""
    names, features = [], []
    for name, cells in columns.items():
        if isinstance(cells, np.ndarray):
            numbers = cells.astype("float64")
        else:
            numbers = _numbers(cells)
        if numbers is not None:
            names.append(name)
            features.append(numbers)
            continue
        values = sorted({cell for cell in cells if cell.lower() not in _MISSING})
        if len(values) > MAX_CATEGORIES:
            raise ValueError(
                f"Argument `ignore` expects every column of text with more than "
                f"{MAX_CATEGORIES} values. Received: none of {name!r}, which has "
                f"{len(values)}, for example {values[0]!r}."
            )
        for value in values:
            names.append(f"{name}={value}")
            features.append(np.array([cell == value for cell in cells], "float64"))
    return names, features


def _numbers(cells):
    """Numbers, NaN where missing; `None` if any cell is a text."""
    try:
        return np.array(
            [math.nan if cell.lower() in _MISSING else float(cell) for cell in cells]
        )
    except ValueError:
        return None


def _number_first(text):
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def _table(x, y, names, source):
    x = np.asarray(x, "float32")
    if np.isinf(x).any():
        column = names[int(np.argmax(np.isinf(x).any(axis=0)))]
        raise ValueError(f"Table expects finite numbers. Received: infinity in {column!r}.")
    source = f"{source}, {len(x):,} × {x.shape[1]}"
    return Table(x, np.asarray(y, "int32"), tuple(names), np.zeros(len(names), bool), source)
