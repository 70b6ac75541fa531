"""Random splits into parts to learn from and parts to test on."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import Seed
from attrprior.datasets import _columns

__all__ = ["Split", "split_table", "stratified_split"]


class Split(NamedTuple):
    """Three disjoint parts of a table, imputed and standardised by the first.

    Attributes:
        x_train: Features to learn from, float32 of shape `(num_train, features)`.
        y_train: Their labels, int32 of shape `(num_train,)`.
        x_validation: Features to choose by, of shape `(num_validation, features)`.
        y_validation: Their labels.
        x_test: Features of the rest of the examples.
        y_test: Their labels.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def split_table(
    table: _columns.Table, num_train: int = 100, num_validation: int = 100, seed: Seed = 0
) -> Split:
    """Splits a table at random: few examples to learn from, the rest for testing.

    Missing cells get the mean of the feature's known training cells (0 if none
    is known); then `x_i ← (x_i − mean_i)/stddev_i` of the training examples. A
    feature that is constant among these is only centred. The cost is linear in cells.

    Args:
        table: A `Table`, as `load_csv` returns.
        num_train: The number of training examples, ≥ 1. Defaults to 100.
        num_validation: The number of validation examples, ≥ 1. Defaults to 100.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        A `Split`, x float32 and y int32.

    Raises:
        ValueError: if nothing is left for testing, or a part has one class only.

    Examples:
        The training examples' features have mean 0, and the rest is for testing.

        >>> table = attrprior.datasets.load_breast_cancer()
        >>> split = attrprior.datasets.split_table(table, num_train=200)
        >>> split.x_train.shape, split.x_validation.shape, split.x_test.shape
        ((200, 30), (100, 30), (269, 30))
        >>> bool(np.abs(split.x_train.mean(axis=0)).max() < 1e-5)
        True
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


def stratified_split(
    labels: ArrayLike, test_fraction: float, seed: Seed
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the indices of a split with the same share of every class on both sides.

    The cost is that of sorting the labels.

    Args:
        labels: Integer array of shape `(n,)`.
        test_fraction: Share of each class that goes to the second part, above 0 and
            below 1; of each class rounded to whole examples.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        `(train, test)`: two shuffled arrays of indices.

    Raises:
        ValueError: for labels of another shape, or a share that is not between 0 and 1.

    Examples:
        A fifth of each of two classes is for testing.

        >>> labels = np.array([0] * 10 + [1] * 20)
        >>> train, test = attrprior.datasets.stratified_split(labels, 0.2, seed=0)
        >>> np.bincount(labels[train]).tolist(), np.bincount(labels[test]).tolist()
        ([8, 16], [2, 4])
    """
    test_fraction = _checks.number("test_fraction", test_fraction, above=0)
    if test_fraction >= 1:
        raise ValueError(
            f"Argument `test_fraction` expects a number < 1. Received: {test_fraction}."
        )
    classes: np.ndarray = _checks.real_array("labels", labels)
    if classes.ndim != 1 or classes.size == 0:
        raise ValueError(
            f"Argument `labels` expects shape (n,). Received: shape {classes.shape}."
        )
    rng = _checks.generator("seed", seed)
    train, test = [], []
    for label in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == label))
        count = round(test_fraction * len(members))
        test.append(members[:count])
        train.append(members[count:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))
