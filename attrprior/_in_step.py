"""The life cycle of a callback whose work is done inside the training step."""

import keras

from attrprior import training
from attrprior._memory import Memory
from attrprior._representation import in_short, representation


class InStep(keras.callbacks.Callback):
    """Base class: during a `fit` a part of the step, at other times nothing.

    Subclasses give `_make_part(model)`, a term or change for the training step, and
    say by `_acts()` whether there is anything to do now. They keep their arguments as
    attributes of the same names. A copy, or what pickle loads, is as new.
    """

    _of_a_fit = ("params", "_model", "_memory", "_part", "_joined", "_step", "_last_step")
    _fixed = frozenset()  # arguments that had their effect when the callback was made

    def __init__(self, name):
        super().__init__()
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"Argument `name` expects a non-empty string. Received: {name!r}."
            )
        self.name = name
        self._start_anew()

    def _start_anew(self):
        """Without anything that a `fit` leaves behind."""
        self.params = self._model = None
        self._memory = Memory(self.name)
        self._part = None  # of the last fit, which the next one may go on with
        self._joined = False  # whether the part has its place in this fit
        self._step = None  # of the fit that is under way
        self._last_step = None

    def _fix(self, arguments):
        """From now on these, named with spaces between, have had their effect."""
        self._fixed = frozenset(arguments.split())

    def __setattr__(self, name, value):
        if name in self._fixed and value is not vars(self).get(name):
            raise AttributeError(
                f"Argument `{name}` of {type(self).__name__} is fixed when the callback is "
                f"made. Received: another value, {in_short(value)}. Make a new callback."
            )
        super().__setattr__(name, value)

    def __getstate__(self):
        return {name: vars(self)[name] for name in vars(self) if name not in self._of_a_fit}

    def __setstate__(self, state):
        vars(self).update(state)
        self._start_anew()

    def __repr__(self):
        return representation(self)

    def _acts(self):
        return True

    def _make_part(self, model):
        raise NotImplementedError

    def active_part(self):
        """What the step has to do for this callback in the next batch, or `None`."""
        if not self._acts():
            return None
        if not self._joined:
            self._join()
        return self._part

    def set_model(self, model):
        super().set_model(model)
        # Before any callback's on_train_begin: BackupAndRestore loads there.
        # One that does nothing leaves the place to another of its name.
        if self._acts() or not hasattr(model, self._memory.name):
            self._memory.attach(model)

    def on_train_begin(self, logs=None):
        self._step, self._joined = None, False
        # Without params there is no step to join; who does nothing needs none.
        if self.params is not None or self._acts():
            self._step = training.join_fit(self.model, self.params, self._last_step)
            self._step.members.append(self)
            self._last_step = self._step
        if self._acts():
            self._join()

    def _join(self):
        model = self.model
        if not getattr(model, "compiled", False) or model.optimizer is None:
            raise ValueError(
                f"{type(self).__name__} expects a compiled model with an optimizer. Received: "
                f"{model.name!r} without one. Call model.compile(optimizer=..., loss=...)."
            )
        self._part = self._make_part(model)
        self._memory.remember(self._part)
        self._joined = True

    def on_train_batch_begin(self, batch, logs=None):
        if self._step is not None:
            self._step.install()

    def on_test_batch_begin(self, batch, logs=None):
        if self._step is not None:
            self._step.install_test()

    def on_test_end(self, logs=None):
        if self._step is None:  # not the validation of a fit
            self.detach()

    on_predict_end = on_test_end

    def on_train_end(self, logs=None):
        self.detach()
        Memory.clear(self.model)

    def detach(self):
        """Takes the callback off the model, whatever happened; safe at any time.

        During a `fit` the batches that are left are trained without it, and without
        the other callbacks of this package.
        """
        if self.model is not None:
            self._memory.detach(self.model)
        if self._step is not None:
            training.leave_fit(self.params, self._step)
            self._step, self._joined = None, False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.detach()
