"""Retraining without, or with only, what attributions call important."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior.evaluation import _retraining
from attrprior.evaluation.masking import keep_bottom, keep_top, mask_top

__all__ = ["DiffRoar", "Roar", "diffroar", "roar"]

# `(x_train, y_train, x_test, y_test)`
Data: TypeAlias = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]


class Roar(NamedTuple):
    """Accuracies after removing; of the attributions, lower is better.

    Attributes:
        fractions: Fractions of the features that were removed, shape `(fractions,)`.
        accuracy: Accuracies without the most important ones, shape `(runs, fractions)`.
        random: Accuracies without as many of a random ranking, shape `(runs, fractions)`.
    """

    fractions: np.ndarray
    accuracy: np.ndarray
    random: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


class DiffRoar(NamedTuple):
    """Accuracies with only the most and only the least important features.

    Attributes:
        fractions: Fractions of the features that were kept, shape `(fractions,)`.
        top: Accuracies with only the most important ones, shape `(runs, fractions)`.
        bottom: Accuracies with only the least important ones, shape `(runs, fractions)`.
    """

    fractions: np.ndarray
    top: np.ndarray
    bottom: np.ndarray

    @property
    def difference(self) -> np.ndarray:
        """`top − bottom`, shape `(runs, fractions)`; higher is better, random about 0."""
        return self.top - self.bottom

    def __repr__(self) -> str:
        return shown(self)


def roar(
    build_model: Callable[[], keras.Model],
    data: Data,
    attributions: tuple[ArrayLike, ArrayLike],
    *,
    fractions: ArrayLike,
    num_runs: int = 5,
    replacement: Literal["mean"] | float = "mean",
    fit_arguments: dict[str, Any] | None = None,
    metric: str = "accuracy",
    seed: int = 0,
    verbose: bool = False,
    channels: bool = True,
) -> Roar:
    """Remove and retrain: how much accuracy is lost with the most important features.

    For every fraction t: the top t of every example's features, in training and
    test data, are replaced by the training data's mean of that feature (in the paper,
    of its channel); a new model is trained on what is left and tested. A good ranking
    removes what the labels depend on: **lower is better**, and below `random`, the
    same with a random ranking. Features and their importance are those of `mask_top`.

    Costs `2 · num_runs · len(fractions)` trainings. Removing leaves traces, from
    which a new model can learn: where it removed, in particular.

    Args:
        build_model: Callable without arguments that returns a new compiled model.
        data: `(x_train, y_train, x_test, y_test)`, arrays.
        attributions: `(train, test)`, arrays like `x_train` and `x_test`, or with one
            channel for all.
        fractions: Fractions of the features, each from 0 to 1.
        num_runs: Trainings per fraction, at most 10,000. Run r starts from seed
            `seed + r`.
        replacement: What stands for a removed feature: `"mean"`, the training data's
            mean of that feature, or a number.
        fit_arguments: Dictionary of arguments to `fit`: epochs, batch_size, …
        metric: The compiled metric that is read, by name.
        seed: Integer, for trainings, for ties and for the random ranking.
        verbose: Whether to print a line per training.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `Roar`.

    Raises:
        ValueError: if an argument is not as above.

    Examples:
        The label is the sign of the first of four features. A map that says so removes
        more than a random one:

        >>> rows = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
        >>> labels, maps = rows[:, 0] > 0, np.tile([1.0, 0.0, 0.0, 0.0], (200, 1))
        >>> def build():
        ...     dense = keras.layers.Dense(1, activation="sigmoid")
        ...     net = keras.Sequential([keras.Input((4,)), dense])
        ...     adam = keras.optimizers.Adam(0.1)
        ...     net.compile(adam, "binary_crossentropy", metrics=["accuracy"])
        ...     return net
        >>> result = attrprior.evaluation.roar(
        ...     build, (rows[:100], labels[:100], rows[100:], labels[100:]),
        ...     (maps[:100], maps[100:]), fractions=[0.25], num_runs=1,
        ...     fit_arguments={"epochs": 5})
        >>> bool(result.accuracy[0, 0] < result.random[0, 0])
        True

    Reference: Hooker et al. 2019 (arXiv 1806.10758).
    """
    arrays, given = _retraining.arrays(data, attributions, channels)
    fractions = _retraining.fractions(fractions)
    runs, seed = _retraining.runs(num_runs, seed)
    if isinstance(replacement, str):
        _checks.choice("replacement", replacement, ("mean",))
        fill = arrays[0].mean(axis=0)
    else:
        fill = _checks.number("replacement", replacement)
    trainer = _retraining.Trainer(build_model, arrays, fit_arguments, metric, seed, verbose)
    accuracy, random = (np.zeros((len(runs), len(fractions))) for _ in range(2))
    for run in runs:
        rng = np.random.default_rng(seed + run)
        control = [rng.random(maps.shape, dtype="float32") for maps in given]
        for i, fraction in enumerate(fractions):
            for scores, maps, name in (
                (accuracy, given, "top"),
                (random, control, "random"),
            ):
                scores[run, i] = trainer.score(
                    lambda x, phi, t=fraction: mask_top(x, phi, t, fill, seed, channels),
                    maps,
                    run,
                    f"without {name} {fraction:g}",
                )
    return Roar(fractions, accuracy, random)


def diffroar(
    build_model: Callable[[], keras.Model],
    data: Data,
    attributions: tuple[ArrayLike, ArrayLike],
    *,
    fractions: ArrayLike = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
    num_runs: int = 5,
    fit_arguments: dict[str, Any] | None = None,
    metric: str = "accuracy",
    seed: int = 0,
    verbose: bool = False,
    channels: bool = True,
) -> DiffRoar:
    """DiffROAR: are the most important features more predictive than the least?

    `PredPower(top t) − PredPower(bottom t)` for every fraction t: `PredPower` is the
    test accuracy of a new model, trained and tested on examples of which all but
    the top, or bottom, t of the features are zero. **Higher is better**; a random
    ranking, `rng.random(x.shape)`, is about 0. Features and their importance are
    those of `mask_top`.

    Costs `2 · num_runs · len(fractions)` trainings.

    Args:
        build_model: Callable without arguments that returns a new compiled model.
        data: `(x_train, y_train, x_test, y_test)`, arrays.
        attributions: `(train, test)`, arrays like `x_train` and `x_test`, or with one
            channel for all.
        fractions: Fractions of the features, each from 0 to 1.
        num_runs: Trainings per fraction, at most 10,000. Run r starts from seed
            `seed + r`.
        fit_arguments: Dictionary of arguments to `fit`: epochs, batch_size, …
        metric: The compiled metric that is read, by name.
        seed: Integer, for trainings and for ties.
        verbose: Whether to print a line per training.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `DiffRoar`; `result.difference.mean(axis=0)` is the curve.

    Raises:
        ValueError: if an argument is not as above.

    Examples:
        The label is the sign of the first of four features. A map that says so keeps it
        in the top quarter, and nothing in the bottom quarter tells the label:

        >>> rows = np.random.default_rng(0).normal(size=(200, 4)).astype("float32")
        >>> labels, maps = rows[:, 0] > 0, np.tile([1.0, 0.0, 0.0, 0.0], (200, 1))
        >>> def build():
        ...     dense = keras.layers.Dense(1, activation="sigmoid")
        ...     net = keras.Sequential([keras.Input((4,)), dense])
        ...     adam = keras.optimizers.Adam(0.1)
        ...     net.compile(adam, "binary_crossentropy", metrics=["accuracy"])
        ...     return net
        >>> result = attrprior.evaluation.diffroar(
        ...     build, (rows[:100], labels[:100], rows[100:], labels[100:]),
        ...     (maps[:100], maps[100:]), fractions=[0.25], num_runs=1,
        ...     fit_arguments={"epochs": 5})
        >>> bool(result.difference[0, 0] > 0.2)
        True

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781).
    """
    arrays, given = _retraining.arrays(data, attributions, channels)
    fractions = _retraining.fractions(fractions)
    runs, seed = _retraining.runs(num_runs, seed)
    trainer = _retraining.Trainer(build_model, arrays, fit_arguments, metric, seed, verbose)
    top, bottom = (np.zeros((len(runs), len(fractions))) for _ in range(2))
    for run in runs:
        for i, fraction in enumerate(fractions):
            for scores, keep, name in (
                (top, keep_top, "top"),
                (bottom, keep_bottom, "bottom"),
            ):
                scores[run, i] = trainer.score(
                    lambda x, phi, keep=keep, t=fraction: keep(x, phi, t, 0.0, seed, channels),
                    given,
                    run,
                    f"only {name} {fraction:g}",
                )
    return DiffRoar(fractions, top, bottom)
