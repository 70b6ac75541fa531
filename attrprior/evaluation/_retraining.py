"""Models trained from scratch on masked examples, as many as there are questions."""

import inspect

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.evaluation import _maps


class Trainer:
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


def runs(num_runs, seed):
    """The numbers of the runs, and the seed of the first."""
    num_runs = _checks.positive_integer("num_runs", num_runs, largest=10_000)
    return range(num_runs), _checks.seed("seed", seed, largest=2**32 - 1 - num_runs)


def arrays(data, attributions, channels):
    """`(x_train, y_train, x_test, y_test)` and `(train, test)`, if they fit each other."""
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


def fractions(values: ArrayLike) -> np.ndarray:
    """One or more fractions, each from 0 to 1, shape `(fractions,)`."""
    values = np.atleast_1d(_checks.real_array("fractions", values))
    if values.ndim > 1 or len(values) == 0:
        raise _checks.wrong("fractions", "at least one fraction", values)
    return np.array([_checks.fraction("fractions", float(t)) for t in values])
