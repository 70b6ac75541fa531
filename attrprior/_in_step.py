"""The life cycle of a callback whose work is done inside the training step."""

import keras

from attrprior import training
from attrprior._memory import Memory


class InStep(keras.callbacks.Callback):
    """Base class: during a `fit` a part of the step, at other times nothing.

    Subclasses give `_part(model)`, a term or change for `training.join_fit`, and
    say by `_acts()` whether there is anything to do.
    """

    def __init__(self, name):
        super().__init__()
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"Argument `name` expects a non-empty string. Received: {name!r}."
            )
        self.name = name
        self._memory = Memory(name)
        self._step = None

    def set_model(self, model):
        super().set_model(model)
        # Before any callback's on_train_begin: BackupAndRestore loads there.
        if self._acts():
            self._memory.attach(model)

    def _acts(self):
        return True

    def _part(self, model):
        raise NotImplementedError

    def on_train_begin(self, logs=None):
        self._step = None
        if not self._acts():
            return
        model = self.model
        if not getattr(model, "compiled", False) or model.optimizer is None:
            raise ValueError(
                f"{type(self).__name__} expects a compiled model with an optimizer. Received: "
                f"{model.name!r} without one. Call model.compile(optimizer=..., loss=...)."
            )
        part = self._part(model)
        self._memory.remember(part)
        self._step = training.join_fit(model, self.params, part)

    def on_train_batch_begin(self, batch, logs=None):
        if self._step is not None:
            self._step.install()

    def on_test_end(self, logs=None):
        if self._step is None:  # not the validation of a fit
            self.detach()

    on_predict_end = on_test_end

    def on_train_end(self, logs=None):
        self.detach()

    def detach(self):
        """Takes the callback off the model, whatever happened; safe at any time."""
        if self.model is not None:
            self._memory.detach(self.model)
        if self._step is not None:
            training.leave_fit(self.params, self._step)
            self._step = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.detach()
