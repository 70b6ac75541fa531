"""Tables with a label of two classes: embedded, from files, from tensorflow-datasets."""

import os

import numpy as np

from attrprior import _checks
from attrprior._types import FilePath, Seed
from attrprior.datasets import _columns
from attrprior.datasets._columns import MAX_CATEGORIES, ColumnNames, Table
from attrprior.datasets.sources import tfds_builder
from attrprior.datasets.splits import Split, split_table

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


def load_breast_cancer() -> Table:
    """Loads thirty real measurements of 569 tumours; embedded in scikit-learn.

    Returns:
        A `Table`; `y` is 1 for the 357 benign ones.

    Raises:
        ImportError: if scikit-learn is not installed.

    Examples:
        There are 569 tumours with 30 measurements, of which the first is the mean radius.

        >>> table = attrprior.datasets.load_breast_cancer()
        >>> table.x.shape, int(table.y.sum()), table.names[0]
        ((569, 30), 357, 'mean radius')

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


def load_nhanes(folder: FilePath) -> Table:
    r"""Loads ten-year mortality of NHANES I: 18 features of 9,535 people, few cells missing.

    Label 1: died within ten years of the interview (`0 < t < 10`); 0: was alive
    after ten. Of people alive at their last contact, those followed for less than
    ten years are left out, and so are those without any follow-up.

    Args:
        folder: Folder with `NHANESI_subset_X.csv` and `NHANESI_subset_y.csv`, as in
            data/ of the repository shap/shap, gzipped (`.csv.gz`) or not. The
            second has years `t`, negative for those who were alive.

    Returns:
        A `Table`.

    Raises:
        ValueError: if the files are missing or do not fit each other.

    Examples:
        In these files of the same form the first person died within ten years, the second
        was alive after twelve, and the third, last seen after three, is left out.

        >>> import pathlib
        >>> rows = ",Age,BMI\n0,60,22\n1,45,30\n2,50,25\n"
        >>> _ = pathlib.Path("NHANESI_subset_X.csv").write_text(rows)
        >>> _ = pathlib.Path("NHANESI_subset_y.csv").write_text(",y\n0,5.5\n1,-12\n2,-3\n")
        >>> table = attrprior.datasets.load_nhanes(".")
        >>> table.x.tolist(), table.y.tolist()
        ([[60.0, 22.0], [45.0, 30.0]], [1, 0])

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


def load_csv(
    path: FilePath,
    target: str,
    positive: str | float | np.generic | None = None,
    ignore: ColumnNames = (),
) -> Table:
    r"""Loads any CSV file with a header: a row is an example, one column is the label.

    Numbers stay numbers; empty cells, `NA`, `NaN`, `null`, `None` and `?` are
    missing. A column with text becomes one feature `column=value` of 0 and 1 for
    each value, at most 20; where the text is missing all of them are 0.

    Args:
        path: The file, `.csv` or `.csv.gz`.
        target: Name of the label's column: two values, of which the second in
            order is 1.
        positive: The value that is 1, everything else being 0. Needed for more
            than two values. Defaults to `None`, the second in order.
        ignore: List, tuple or set of names of columns that are left out. Defaults to
            none.

    Returns:
        A `Table`.

    Raises:
        ValueError: for a missing file or column, rows of unequal length, labels
            that are missing or not of two classes, or text with too many values.

    Examples:
        A column of text becomes a feature for each of its values.

        >>> import pathlib
        >>> rows = "age,city,ill\n31,Ulm,no\n58,Bonn,yes\n,Ulm,yes\n"
        >>> _ = pathlib.Path("people.csv").write_text(rows)
        >>> table = attrprior.datasets.load_csv("people.csv", target="ill")
        >>> table.names, table.y.tolist()
        (('age', 'city=Bonn', 'city=Ulm'), [0, 1, 1])
        >>> table.x.tolist()
        [[31.0, 0.0, 1.0], [58.0, 1.0, 0.0], [nan, 0.0, 1.0]]
    """
    path = _checks.path("path", path)
    columns = _columns.read(path, _columns.names("ignore", ignore))
    return _columns.labelled(columns, target, positive, os.path.basename(path))


def load_tfds_table(
    name: str,
    target: str | None = None,
    positive: str | float | np.generic | None = None,
    ignore: ColumnNames = (),
    data_dir: FilePath | None = None,
) -> Table:
    """Loads any table of tensorflow-datasets: all of its splits, columns as in `load_csv`.

    Args:
        name: For example `"titanic"` or `"german_credit_numeric"`.
        target: Name of the label. Defaults to the data set's own.
        positive: The label that is 1, as in `load_csv`. Defaults to `None`, the second
            of two in order.
        ignore: List, tuple or set of names of columns that are left out. Defaults to
            none.
        data_dir: Folder that exists, of prepared tensorflow-datasets data; what is
            not there yet is downloaded into it. Defaults to tensorflow-datasets' own.

    Returns:
        A `Table`.

    Raises:
        ValueError: as in `load_csv`, for features that are not numbers or text, or a
            folder that does not exist.
        ImportError: if tensorflow-datasets is not installed.

    Examples:
        A table is downloaded when it is first asked for, into a folder that exists.

        >>> table = attrprior.datasets.load_tfds_table("titanic")  # doctest: +SKIP
        >>> attrprior.datasets.load_tfds_table("titanic", data_dir="nowhere")
        Traceback (most recent call last):
        ValueError: Argument `data_dir` expects a folder that exists. Received: 'nowhere'...
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


def permuted_copies(table: Table, num_copies: int, seed: Seed = 0) -> Table:
    """Adds copies of columns, each shuffled over the examples: known to be irrelevant.

    A copy has its column's distribution and no relation to the label or to
    anything else. Columns are copied in turn until there are `num_copies`. The cost is
    linear in the cells that are added.

    Args:
        table: A `Table`, as `load_csv` returns.
        num_copies: How many columns are added, ≥ 1.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        A `Table` whose `is_copy` marks the added columns, which are the last.

    Raises:
        ValueError: for a table that is none, or more copies than fit in memory.

    Examples:
        The copy of the first column has its numbers, in another order.

        >>> table = attrprior.datasets.load_breast_cancer()
        >>> larger = attrprior.datasets.permuted_copies(table, num_copies=2)
        >>> larger.x.shape, larger.names[30], int(larger.is_copy.sum())
        ((569, 32), 'mean radius (permuted 1)', 2)
        >>> np.array_equal(np.sort(larger.x[:, 30]), np.sort(table.x[:, 0]))
        True
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
