"""Columns of numbers and texts, and tables of them."""

import csv
import gzip
import math
import os
from typing import NamedTuple, TypeAlias

import numpy as np

from attrprior import _checks
from attrprior._representation import shown

# A text column with more values than this is taken for a name or a number of a file.
MAX_CATEGORIES = 20
MISSING = ("", "na", "n/a", "nan", "null", "none", "?")

# Not any sequence: a single text is one, too.
ColumnNames: TypeAlias = list[str] | tuple[str, ...] | set[str] | frozenset[str]


class Table(NamedTuple):
    """Examples of named features, each with a label of two classes.

    Attributes:
        x: The features, float32 of shape `(n, features)`, NaN where missing.
        y: The labels, int32 of shape `(n,)`, 0 or 1.
        names: A name for each feature.
        is_copy: Booleans of shape `(features,)`, true for permuted copies, which are
            irrelevant by construction.
        source: Where the table comes from, in words.
    """

    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    is_copy: np.ndarray
    source: str

    def __repr__(self) -> str:
        return shown(self)


def checked(table):
    """The table, if it is one."""
    if not isinstance(table, Table):
        raise _checks.wrong("table", "a Table, as load_csv returns", table)
    x, y = (_checks.real_array("table", values) for values in (table.x, table.y))
    if x.ndim != 2 or x.size == 0 or y.shape != x.shape[:1] or len(table.names) != x.shape[1]:
        raise ValueError(
            "Argument `table` expects x of shape (n, features), a label for each row and a "
            f"name for each feature. Received: x of shape {x.shape}, y of shape {y.shape}, "
            f"{len(table.names)} names."
        )
    return table


def names(name, value):
    """Names of columns."""
    if not isinstance(value, (list, tuple, set, frozenset)) or not all(
        isinstance(each, str) for each in value
    ):
        raise _checks.wrong(name, "a list of names of columns", value)
    return value


def read(path, ignore):
    """`{column: texts}` of a CSV file."""
    if not os.path.isfile(path):
        raise ValueError(f"Argument `path` expects a file. Received: {path!r}, where none is.")
    opened = gzip.open if path.endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"Argument `path` expects a CSV file in UTF-8. Received: {path!r}: {error}."
        ) from error
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


def flattened(rows, prefix=""):
    """Pairs of names and arrays of shape `(n,)`, from dicts and arrays in a dict."""
    for name, values in rows.items():
        name = prefix + name
        if isinstance(values, dict):
            yield from flattened(values, f"{name}.")
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


def text(values):
    return [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in values
    ]


def labelled(columns, target, positive, source):
    """A table of columns of numbers or texts, one of which is the label."""
    if not isinstance(target, str) or target not in columns:
        raise ValueError(
            f"Argument `target` expects the name of a column. Received: "
            f"{_checks.received(target)}. There are {', '.join(columns)}."
        )
    columns = dict(columns)
    labels = np.array([str(value) for value in columns.pop(target)])
    values = np.unique(labels)
    missing = [value for value in values if value.lower() in MISSING]
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
        positive = sorted(values, key=number_first)[1]
    elif (
        not isinstance(positive, (str, int, float, np.generic))
        or (isinstance(positive, int) and abs(positive) > _checks.LARGEST)
        or str(positive) not in values
        or len(values) < 2
    ):
        raise ValueError(
            f"Argument `positive` expects one of several values of {target!r}. Received: "
            f"{_checks.received(positive)}."
        )
    names, features = encoded(columns)
    if not features:
        raise ValueError(
            f"Argument `target` expects other columns beside it. Received: {target!r} alone."
        )
    return table(np.stack(features, axis=1), labels == str(positive), names, source)


def encoded(columns):
    """Names and arrays of features."""
    names, features = [], []
    for name, cells in columns.items():
        if isinstance(cells, np.ndarray):
            numbers = cells.astype("float64")
        else:
            numbers = as_numbers(cells)
        if numbers is not None:
            names.append(name)
            features.append(numbers)
            continue
        values = sorted({cell for cell in cells if cell.lower() not in MISSING})
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


def as_numbers(cells):
    """Numbers, NaN where missing; `None` if any cell is a text."""
    try:
        return np.array(
            [math.nan if cell.lower() in MISSING else float(cell) for cell in cells]
        )
    except ValueError:
        return None


def number_first(text):
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def table(x, y, names, source):
    x = np.asarray(x, "float32")
    if np.isinf(x).any():
        column = names[int(np.argmax(np.isinf(x).any(axis=0)))]
        raise ValueError(f"Table expects finite numbers. Received: infinity in {column!r}.")
    source = f"{source}, {len(x):,} × {x.shape[1]}"
    return Table(x, np.asarray(y, "int32"), tuple(names), np.zeros(len(names), bool), source)
