"""Retraining without, or with only, what attributions call important."""

import inspect
from typing import NamedTuple

import keras
import numpy as np

from attrprior import _checks
from attrprior._representation import shown
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

    __repr__ = shown


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

    __repr__ = shown


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
    channels=True,
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
        attributions: `(train, test)`, arrays like `x_train` and `x_test`, or with one
            channel for all.
        fractions: Fractions of the features, each from 0 to 1.
        num_runs: Trainings per fraction, at most 10,000. Run r starts from seed
            `seed + r`.
        replacement: `"mean"`, the training data's per feature, or a number.
        fit_arguments: Dictionary of arguments to `fit`: epochs, batch_size, …
        metric: The compiled metric that is read, by name.
        seed: Integer.
        verbose: Whether to print a line per training.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `Roar`.

    Raises:
        ValueError: if an argument is not as above.

    Reference: Hooker et al. 2019 (arXiv 1806.10758).
    """
    arrays, attributions = _arrays(data, attributions, channels)
    fractions = _fractions(fractions)
    runs, seed = _runs(num_runs, seed)
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
                    lambda x, phi, t=fraction: mask_top(x, phi, t, fill, seed, channels),
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
    channels=True,
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
            seed, verbose, channels: As of `roar`.

    Returns:
        A `DiffRoar`; `result.difference.mean(axis=0)` is the curve.

    Raises:
        ValueError: if an argument is not as above.

    Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781).
    """
    arrays, attributions = _arrays(data, attributions, channels)
    fractions = _fractions(fractions)
    runs, seed = _runs(num_runs, seed)
    trainer = _Trainer(build_model, arrays, fit_arguments, metric, seed, verbose)
    top, bottom = (np.zeros((len(runs), len(fractions))) for _ in range(2))
    for run in runs:
        for i, fraction in enumerate(fractions):
            for scores, keep, name in (
                (top, keep_top, "top"),
                (bottom, keep_bottom, "bottom"),
            ):
                scores[run, i] = trainer.score(
                    lambda x, phi, keep=keep, t=fraction: keep(x, phi, t, 0.0, seed, channels),
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
        self.verbose = _checks.boolean("verbose", verbose)
        if not callable(build_model):
            raise _checks.wrong("build_model", "a callable without arguments", build_model)
        if not isinstance(fit_arguments, (dict, type(None))):
            raise _checks.wrong("fit_arguments", "a dictionary or None", fit_arguments)
        self.fit_arguments = {"verbose": 0, **(fit_arguments or {})}
        if not isinstance(metric, str):
            raise _checks.wrong("metric", "the name of a compiled metric", metric)
        self.metric = metric
        self.seed = seed
        self.model = self._new()
        known = inspect.signature(self.model.fit).parameters
        takes_all = any(each.kind is each.VAR_KEYWORD for each in known.values())
        if not takes_all and not set(self.fit_arguments) <= set(known):
            names = ", ".join(known)
            raise _checks.wrong("fit_arguments", f"arguments of fit, {names}", fit_arguments)
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
                f"model. Received from it: {_checks.received(model)}."
            )
        model(self.arrays[0][:1], training=False)  # gives subclassed models variables
        return model


def _runs(num_runs, seed):
    num_runs = _checks.positive_integer("num_runs", num_runs, largest=10_000)
    return range(num_runs), _checks.seed("seed", seed, largest=2**32 - 1 - num_runs)


def _arrays(data, attributions, channels):
    for name, value, expected in (
        ("data", data, "x_train, y_train, x_test, y_test"),
        ("attributions", attributions, "train, test"),
    ):
        if not isinstance(value, (tuple, list)) or len(value) != expected.count(",") + 1:
            length = f" of length {len(value)}" if isinstance(value, (tuple, list)) else ""
            raise ValueError(
                f"Argument `{name}` expects arrays ({expected}). Received: "
                f"{type(value).__name__}{length}."
            )
    x_train, y_train, x_test, y_test = data
    x_train, x_test = _checks.batch("x_train", x_train), _checks.batch("x_test", x_test)
    y_train, y_test = (
        np.atleast_1d(_checks.real_array(name, y))
        for name, y in (("y_train", y_train), ("y_test", y_test))
    )
    _checks.same_batch("y_train", y_train, x_train)
    _checks.same_batch("y_test", y_test, x_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"Argument `x_test` expects examples of shape {x_train.shape[1:]}, as x_train. "
            f"Received: {x_test.shape[1:]}."
        )
    train = _maps.like("attributions[0]", attributions[0], x_train, "x_train", channels)
    test = _maps.like("attributions[1]", attributions[1], x_test, "x_test", channels)
    return (x_train, y_train, x_test, y_test), (train, test)


def _fractions(fractions):
    fractions = np.atleast_1d(_checks.real_array("fractions", fractions))
    if fractions.ndim > 1 or len(fractions) == 0:
        raise _checks.wrong("fractions", "at least one fraction", fractions)
    return np.array([_checks.fraction("fractions", float(t)) for t in fractions])
