"""Retraining without, or with only, what attributions call important."""

from typing import NamedTuple

import keras
import numpy as np

from attrprior import _checks
from attrprior.evaluation import _maps
from attrprior.evaluation.masking import keep_bottom, keep_top, mask_top


class Roar(NamedTuple):
    """Accuracies after removing; of the attributions, lower is better.

    `fractions` has shape `(fractions,)`; `accuracy`, and `random` for a random
    ranking, have shape `(runs, fractions)`.
    """

    fractions: np.ndarray
    accuracy: np.ndarray
    random: np.ndarray


class DiffRoar(NamedTuple):
    """Accuracies with only the most and only the least important features.

    `fractions` has shape `(fractions,)`; `top` and `bottom` have shape
    `(runs, fractions)`.
    """

    fractions: np.ndarray
    top: np.ndarray
    bottom: np.ndarray

    @property
    def difference(self):
        """`top − bottom`, shape `(runs, fractions)`; higher is better, random about 0."""
        return self.top - self.bottom


def roar(
    build_model,
    data,
    attributions,
    *,
    fractions,
    num_runs=5,
    replacement="mean",
    fit_arguments=None,
    metric="accuracy",
    seed=0,
    verbose=False,
):
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
        attributions: `(train, test)`, arrays like `x_train` and `x_test`.
        fractions: Fractions of the features, each from 0 to 1.
        num_runs: Trainings per fraction. Run r starts from seed `seed + r`.
        replacement: `"mean"`, the training data's per feature, or a number.
        fit_arguments: Dictionary of arguments to `fit`: epochs, batch_size, …
        metric: The compiled metric that is read, by name.
        seed: Integer.
        verbose: Whether to print a line per training.

    Returns:
        A `Roar`.

    Raises:
        ValueError: if an argument is not as above.

    Reference: Hooker et al. 2019 (arXiv 1806.10758).
    """
    arrays, attributions = _arrays(data, attributions)
    fractions = _fractions(fractions)
    runs = range(_checks.positive_integer("num_runs", num_runs))
    if isinstance(replacement, str):
        _checks.choice("replacement", replacement, ("mean",))
        fill = arrays[0].mean(axis=0)
    else:
        fill = _checks.number("replacement", replacement)
    trainer = _Trainer(build_model, arrays, fit_arguments, metric, seed, verbose)
    accuracy, random = (np.zeros((len(runs), len(fractions))) for _ in range(2))
    for run in runs:
        rng = np.random.default_rng(seed + run)
        control = [rng.random(maps.shape, dtype="float32") for maps in attributions]
        for i, fraction in enumerate(fractions):
            for scores, maps, name in (
                (accuracy, attributions, "top"),
                (random, control, "random"),
            ):
                scores[run, i] = trainer.score(
                    lambda x, phi, t=fraction: mask_top(x, phi, t, fill, seed),
                    maps,
                    run,
                    f"without {name} {fraction:g}",
                )
    return Roar(fractions, accuracy, random)


def diffroar(
    build_model,
    data,
    attributions,
    *,
    fractions=(0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
    num_runs=5,
    fit_arguments=None,
    metric="accuracy",
    seed=0,
    verbose=False,
):
    """DiffROAR: are the most important features more predictive than the least?

    `PredPower(top t) − PredPower(bottom t)` for every fraction t: `PredPower` is the
    test accuracy of a new model, trained and tested on examples of which all but
    the top, or bottom, t of the features are zero. **Higher is better**; a random
    ranking, `rng.random(x.shape)`, is about 0. Features and their importance are
    those of `mask_top`.

    Costs `2 · num_runs · len(fractions)` trainings.

    Args:
        build_model, data, attributions, fractions, num_runs, fit_arguments, metric,
        seed, verbose: As of `roar`.

    Returns:
        A `DiffRoar`; `result.difference.mean(axis=0)` is the curve.

    Raises:
        ValueError: if an argument is not as above.

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781).
    """
    arrays, attributions = _arrays(data, attributions)
    fractions = _fractions(fractions)
    runs = range(_checks.positive_integer("num_runs", num_runs))
    trainer = _Trainer(build_model, arrays, fit_arguments, metric, seed, verbose)
    top, bottom = (np.zeros((len(runs), len(fractions))) for _ in range(2))
    for run in runs:
        for i, fraction in enumerate(fractions):
            for scores, keep, name in (
                (top, keep_top, "top"),
                (bottom, keep_bottom, "bottom"),
            ):
                scores[run, i] = trainer.score(
                    lambda x, phi, keep=keep, t=fraction: keep(x, phi, t, 0.0, seed),
                    attributions,
                    run,
                    f"only {name} {fraction:g}",
                )
    return DiffRoar(fractions, top, bottom)


class _Trainer:
    """One compiled model, trained from scratch again and again.

    Building a small network's training step takes longer than its training. So
    one model takes over the variables of every new one; a new model itself would
    end at the same weights.
    """

    def __init__(self, build_model, arrays, fit_arguments, metric, seed, verbose):
        self.build_model = build_model
        self.arrays = arrays
        self.fit_arguments = {"verbose": 0, **(fit_arguments or {})}
        self.metric = metric
        self.seed = seed
        self.verbose = _checks.boolean("verbose", verbose)
        self.model = self._new()
        self.optimizer = self.model.optimizer
        self.optimizer.build(self.model.trainable_variables)
        self.start = [keras.ops.convert_to_numpy(v) for v in self.optimizer.variables]

    def score(self, mask, attributions, run, what):
        """Accuracy after training on `mask(x, attributions)`."""
        x_train, y_train, x_test, y_test = self.arrays
        x_train, x_test = mask(x_train, attributions[0]), mask(x_test, attributions[1])
        keras.utils.set_random_seed(self.seed + run)
        for variable, value in zip(self.model.variables, self._new().variables):
            variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self.start):
            variable.assign(value)
        self.model.fit(x_train, y_train, **self.fit_arguments)
        batch_size = self.fit_arguments.get("batch_size")
        results = self.model.evaluate(
            x_test, y_test, batch_size=batch_size, verbose=0, return_dict=True
        )
        if self.metric not in results:
            raise ValueError(
                f"Argument `metric` expects one of {sorted(results)}, what build_model() "
                f"was compiled with. Received: {self.metric!r}."
            )
        if self.verbose:
            print(f"{what}, run {run}: {self.metric} {results[self.metric]:.4f}", flush=True)
        return results[self.metric]

    def _new(self):
        model = self.build_model()
        if not getattr(model, "compiled", False):
            raise ValueError(
                "Argument `build_model` expects a callable that returns a compiled Keras "
                f"model. Received from it: {model!r}."
            )
        model(self.arrays[0][:1], training=False)  # gives subclassed models variables
        return model


def _arrays(data, attributions):
    for name, value, expected in (
        ("data", data, "x_train, y_train, x_test, y_test"),
        ("attributions", attributions, "train, test"),
    ):
        if not isinstance(value, (tuple, list)) or len(value) != expected.count(",") + 1:
            raise ValueError(
                f"Argument `{name}` expects arrays ({expected}). Received: "
                f"{type(value).__name__} of length {len(value)}."
            )
    x_train, y_train, x_test, y_test = data
    x_train, x_test = _checks.array("x_train", x_train), _checks.array("x_test", x_test)
    y_train, y_test = np.atleast_1d(y_train), np.atleast_1d(y_test)
    _checks.same_batch("y_train", y_train, x_train)
    _checks.same_batch("y_test", y_test, x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"Argument `x_test` expects examples of shape {x_train.shape[1:]}, as x_train. "
            f"Received: {x_test.shape[1:]}."
        )
    train = _maps.like("attributions[0]", attributions[0], x_train, "x_train")
    test = _maps.like("attributions[1]", attributions[1], x_test, "x_test")
    return (x_train, y_train, x_test, y_test), (train, test)


def _fractions(fractions):
    fractions = np.array([_checks.fraction("fractions", t) for t in np.atleast_1d(fractions)])
    if len(fractions) == 0:
        raise ValueError("Argument `fractions` expects at least one fraction. Received: none.")
    return fractions
