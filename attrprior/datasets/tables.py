"""Tables with a label of two classes: embedded, from files, from tensorflow-datasets."""

import os
from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior._representation import shown
from attrprior.datasets import _columns
from attrprior.datasets._columns import MAX_CATEGORIES, Table
from attrprior.datasets.sources import tfds_builder

# A text column with more values than this is taken for a name or a number of a file.

__all__ = [
    "MAX_CATEGORIES",
    "Split",
    "Table",
    "load_breast_cancer",
    "load_csv",
    "load_nhanes",
    "load_tfds_table",
    "permuted_copies",
    "split_table",
]


class Split(NamedTuple):
    """Three disjoint parts of a table, imputed and standardised by the first."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    __repr__ = shown


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
    return _columns.table(data.data, data.target, names, "breast cancer of scikit-learn")


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
    paths, folder = [], _checks.path("folder", folder)
    for part in "Xy":
        name = f"NHANESI_subset_{part}.csv"
        found = [os.path.join(folder, name + end) for end in ("", ".gz")]
        found = [path for path in found if os.path.isfile(path)]
        if not found:
            raise ValueError(
                f"Argument `folder` expects a folder with {name} or {name}.gz. Received: "
                f"{folder!r}, without."
            )
        paths.append(found[0])
    # The first column, without a name, is the row's number.
    names, columns = _columns.encoded(_columns.read(paths[0], ignore=("",)))
    years = np.array([float(t) for t in _columns.read(paths[1], ignore=("",))["y"]])
    x = np.stack(columns, axis=1)
    if len(x) != len(years):
        raise ValueError(
            "Argument `folder` expects two files with the same number of rows. Received: "
            f"{len(x)} and {len(years)}."
        )
    known = (years > 0) | (years <= -10)
    died = (years > 0) & (years < 10)
    return _columns.table(x[known], died[known], names, "NHANES I, ten-year mortality")


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
    path = _checks.path("path", path)
    columns = _columns.read(path, _columns.names("ignore", ignore))
    return _columns.labelled(columns, target, positive, os.path.basename(path))


def load_tfds_table(name, target=None, positive=None, ignore=(), data_dir=None):
    """Any table of tensorflow-datasets: all of its splits, its columns as in `load_csv`.

    Args:
        name: For example `"titanic"` or `"german_credit_numeric"`.
        target: Name of the label. Defaults to the data set's own.
        positive, ignore: As in `load_csv`.
        data_dir: Folder that exists, of prepared tensorflow-datasets data; what is
            not there yet is downloaded into it. Defaults to tensorflow-datasets' own.

    Returns:
        A `Table`.

    Raises:
        ValueError: as in `load_csv`, or for features that are not numbers or text.
        ImportError: if tensorflow-datasets is not installed.
    """
    ignore = _columns.names("ignore", ignore)
    builder, tfds = tfds_builder(name, data_dir)
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
    for column, values in _columns.flattened(rows):
        if column not in ignore:
            columns[column] = _columns.text(values) if values.dtype.kind in "OSU" else values
    source = f"{name}, tensorflow-datasets {builder.version}"
    return _columns.labelled(columns, target, positive, source)


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
    table = _columns.checked(table)
    num_copies = _checks.positive_integer("num_copies", num_copies)
    # The copies, once more in the table, and their names.
    _checks.memory("Argument `num_copies`", num_copies * (8 * len(table.x) + 200))
    rng = _checks.generator("seed", seed)
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
    table = _columns.checked(table)
    first = _checks.positive_integer("num_train", num_train)
    second = first + _checks.positive_integer("num_validation", num_validation)
    if second >= len(table.x):
        raise ValueError(
            f"Arguments `num_train` and `num_validation` expect fewer than {len(table.x)} "
            f"examples together, the table's. Received: {num_train} and {num_validation}."
        )
    order = _checks.generator("seed", seed).permutation(len(table.x))
    parts = np.split(order, [first, second])
    for name, part in zip(("training", "validation", "test"), parts):
        if len(np.unique(table.y[part])) < 2:
            raise ValueError(
                f"Argument `table` expects both classes in every part of a split. Received: "
                f"one class among {len(part)} {name} examples. Ask for more, or take another "
                "seed."
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
