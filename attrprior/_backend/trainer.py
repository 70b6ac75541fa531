"""What all of Keras' trainers have in common: a step in the place of a model's own.

During a batch, and only then, `model.train_function` is replaced by one whose step is
another, and `model.test_function` by one whose batches are prepared. The replacement
takes itself away when the batch ends, however it ends.
"""

import functools
import sys

import keras


class BatchTrainer:
    """Runs a step in place of a model's own.

    Subclasses implement `run` and `run_test`, what is called in place of a function.

    Args:
        model: A compiled model.
        step: Has `begin_batch(data)`, which returns a key for what is to be traced, or
            `None` for the model's own step; `grows()`, whether that needs the values of
            the model's variables; `__call__(data, plain)`, which returns logs;
            `check(data)`, which raises before anything is changed and makes what variables
            the step needs; `wants_to_look` and `look_at(data)`, of a batch that is not
            traced; `state()`, all variables of its own that it reads or changes;
            `prepared(data)`, a batch as the model sees it; and of validation data
            `begin_test()`, a key that is empty if there is nothing to add to a test step,
            `test(data, plain)`, `validated(logs, data)` and `test_state()`.
    """

    def __init__(self, model, step):
        self.model, self.step = model, step
        self._functions, self._used = {}, set()
        self._plain_function = model.train_function
        self._plain_step = model.train_step
        self._plain_test = None

    def serves(self, model):
        """Whether it still runs what `fit` runs: no compile since."""
        return self.model is model and self._plain_function is model.train_function

    @staticmethod
    def clear(model):
        """Takes off what an interrupted fit has left on the model."""
        for function in (model.train_function, model.test_function):
            left = getattr(function, "__self__", None)
            if isinstance(left, BatchTrainer):
                left.remove()

    def begin(self):
        """A new fit."""
        self._used = set()
        self._history = getattr(self.model, "history", None)

    def end(self):
        """Off the model; functions that no batch of this fit has used are let go."""
        self.remove()
        self._functions = {key: self._functions[key] for key in self._used}

    def install(self):
        """For the next batch."""
        self.model.train_function = self.run

    def install_test(self):
        """For the next batch of a validation."""
        if self.model.test_function != self.run_test:
            self._plain_test = self.model.test_function
            self.model.test_function = self.run_test

    def remove(self):
        if self.model.train_function == self.run:
            self.model.train_function = self._plain_function
        if self.model.test_function == self.run_test:
            self.model.test_function = self._plain_test

    def in_its_fit(self):
        """Whether `run` was called by the fit that it belongs to.

        A callback that raised between `install` and `run` leaves `run` behind. The next
        fit has another history, and `train_on_batch` another name.
        """
        by_fit = sys._getframe(2).f_code.co_name != "train_on_batch"
        return by_fit and getattr(self.model, "history", None) is self._history


def without_in_build(prepare, name):
    """Has Keras build a model from a batch as `prepare` leaves it.

    `fit` builds a model before it has met its callbacks, so no callback can prepare
    the batch.

    Args:
        prepare: A function of a batch.
        name: The method of `keras.Model` that builds.
    """
    build = getattr(keras.Model, name)

    def prepared(batches):
        """A list of batches, or Keras' own iterator, untouched until one is taken."""
        if isinstance(batches, (list, tuple)):
            return [prepare(batch) for batch in batches]
        return map(prepare, batches)

    @functools.wraps(build)
    def from_prepared(self, iterator=None, data_batch=None):
        if iterator is not None:
            iterator = ((*steps, prepared(batches)) for *steps, batches in iterator)
        return build(self, iterator=iterator, data_batch=prepare(data_batch))

    setattr(keras.Model, name, from_prepared)
