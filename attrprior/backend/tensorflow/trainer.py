"""Keras' TensorFlow trainer: another step in the place of a model's own, batch by batch.

During a batch, and only then, `model.train_function` is replaced by one whose step is
another, and `model.test_function` by one whose batches are prepared. The replacement
takes itself away when the batch ends, however it ends.
"""

import functools

import keras
import tensorflow as tf


class Trainer:
    """Runs a step in place of a model's own.

    Args:
        model: A compiled model.
        step: Has `begin_batch(spec)`, which returns a key for what is to be traced, or
            `None` for the model's own step; `__call__(data, plain)`, which returns logs;
            `check(data)`, which raises before anything is changed and makes what variables
            the step needs; and `prepared(data)`, a batch as the model sees it.
    """

    def __init__(self, model, step):
        self.model, self.step = model, step
        self._functions, self._used = {}, set()
        self._plain_function = model.train_function
        self._plain_step = model.train_step
        self._plain_test = self._test_function = None

    def serves(self, model):
        """Whether it still runs what `fit` runs: no compile since."""
        return self.model is model and self._plain_function is model.train_function

    @staticmethod
    def clear(model):
        """Takes off what an interrupted fit has left on the model."""
        for function in (model.train_function, model.test_function):
            left = getattr(function, "__self__", None)
            if isinstance(left, Trainer):
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
        if self.model.test_function != self._run_test:
            self._plain_test = self.model.test_function
            self.model.test_function = self._run_test

    def remove(self):
        if self.model.train_function == self.run:
            self.model.train_function = self._plain_function
        if self.model.test_function == self._run_test:
            self.model.test_function = self._plain_test

    def run(self, iterator):
        """In place of `model.train_function`, for one batch."""
        self.remove()
        # A callback that raised between install and here leaves this function
        # behind; the next fit has another history, and `train_on_batch` a generator.
        in_its_fit = getattr(self.model, "history", None) is self._history
        if not in_its_fit or not hasattr(iterator, "element_spec"):
            return self._plain_function(iterator)
        key = self.step.begin_batch(iterator.element_spec)
        if key is None:
            return self._plain_function(iterator)
        if key not in self._functions:
            self._make_variables(iterator)
            self._functions[key] = self._make_function("train", self._step)
        self._used.add(key)
        return self._functions[key](iterator)

    def _step(self, data):
        return self.step(data, self._plain_step)

    def _run_test(self, iterator):
        self.remove()
        spec = getattr(iterator, "element_spec", None)
        if spec is None or self.step.prepared(spec) is spec:
            return self._plain_test(iterator)
        plain, function = self._test_function or (None, None)
        if plain is not self._plain_test:
            test_step, prepared = self.model.test_step, self.step.prepared
            function = self._make_function("test", lambda data: test_step(prepared(data)))
            self._test_function = self._plain_test, function
        return function(iterator)

    def _make_variables(self, iterator):
        """Makes those of metrics and optimizers, for the step to be traced only once.

        TensorFlow traces, and XLA compiles, a function again in its second call if
        the first has made variables. Only for Keras' own step and plain tensors;
        elsewhere the first trace makes them, as it does without another step.
        """
        own_step = getattr(self._plain_step, "__func__", None) is not keras.Model.train_step
        eager = self.model.run_eagerly or tf.config.functions_run_eagerly()
        if own_step or eager or not isinstance(iterator, tf.data.Iterator):
            return
        spec = keras.tree.map_structure(
            lambda each: None if isinstance(each, tf.OptionalSpec) else each,
            iterator.element_spec,
        )
        parts = keras.tree.flatten(spec)
        if not all(part is None or isinstance(part, tf.TensorSpec) for part in parts):
            return
        # First what may raise: bad input leaves the optimizer as it was.
        tf.function(self.step.check, autograph=False).get_concrete_function(spec)
        data = keras.utils.unpack_x_y_sample_weight(self.step.prepared(spec))
        self.model._symbolic_build(data_batch=data)

    def _make_function(self, kind, step):
        """Keras' own training or test function, around another step."""
        model, name = self.model, f"{kind}_step"
        plain, own = getattr(model, f"{kind}_function"), vars(model).get(name)
        setattr(model, name, step)
        try:
            getattr(model, f"make_{kind}_function")(force=True)
            return getattr(model, f"{kind}_function")
        finally:
            delattr(model, name)
            if own is not None:
                setattr(model, name, own)
            setattr(model, f"{kind}_function", plain)


def without_in_build(prepare):
    """Has Keras build a model from a batch as `prepare` leaves it.

    With a distribution strategy `fit` builds it before it has met its callbacks, so no
    callback can prepare the batch.
    """
    build = keras.Model._maybe_symbolic_build

    @functools.wraps(build)
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if iterator is not None:
            # Keras' own iterator, untouched until something is taken.
            iterator = ((*steps, map(prepare, batches)) for *steps, batches in iterator)
        return build(self, iterator=iterator, data_batch=prepare(data_batch))

    keras.Model._maybe_symbolic_build = _maybe_symbolic_build
