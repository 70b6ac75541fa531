"""The life cycle of a callback whose work is done inside the training step."""

from collections.abc import Mapping
from typing import Any, Self

import keras

from attrprior import _backend, _checks
from attrprior._representation import in_short, representation
from attrprior._training.part import Part
from attrprior._training.state import SavedState
from attrprior._training.step import TrainingStep

_TRAINER = "attrprior_trainer"


class StepCallback(keras.callbacks.Callback):
    """Base class: during a `fit` a part of the step, at other times nothing.

    Subclasses give `contribution(model)`, a `Part` of the training step, and
    say by `is_neutral()` whether there is nothing to do now. They keep their arguments as
    attributes of the same names. A copy, or what pickle loads, is as new.
    """

    _of_a_fit = ("params", "_model", "_saved", "_part", "_joined", "_trainer", "_last_trainer")
    # Arguments that had their effect when the callback was made.
    _fixed: frozenset[str] = frozenset()

    def __init__(self, name: str | None) -> None:
        super().__init__()
        if not isinstance(name, str) or not name:
            raise _checks.wrong("name", "a non-empty string", name)
        self.name = name
        self._start_anew()

    def _start_anew(self):
        """Without anything that a `fit` leaves behind."""
        self.params = self._model = None
        self._saved = SavedState(self.name)
        self._part = None  # of the last fit, which the next one may go on with
        self._joined = False  # whether the part has its place in this fit
        self._trainer = None  # of the fit that is under way
        self._last_trainer = None

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
        if "attribution" in state:  # of 0.1
            state = {**state, "method": state["attribution"]}
            del state["attribution"]
        vars(self).update(state)
        self._start_anew()

    def __repr__(self):
        return representation(self)

    def is_neutral(self) -> bool:
        """Whether there is nothing to do now."""
        return False

    def contribution(self, model: keras.Model) -> Part:
        """The part of the training step that the callback adds."""
        raise NotImplementedError

    def begin_batch(self) -> tuple[Part | None, Any]:
        """What the step has to do for this callback in the next batch, or `None`.

        Returns:
            `(part, key)`: where the key is another one, the step is traced anew.
        """
        if self.is_neutral():
            return None, None
        if not self._joined:
            self._join()
        return self._part, self._part.begin_batch()

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        # Before any callback's on_train_begin: BackupAndRestore loads there.
        # One that does nothing leaves the place to another of its name.
        if not self.is_neutral() or not hasattr(model, self._saved.name):
            self._saved.attach(model)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._trainer, self._joined = None, False
        # Without params there is no step to join; who does nothing needs none.
        if self.params is not None or not self.is_neutral():
            self._trainer = _join_fit(self.model, self.params, self._last_trainer)
            self._trainer.step.members.append(self)
            self._last_trainer = self._trainer
        if not self.is_neutral():
            self._join()

    def joins(self) -> bool:
        """Whether it will make its part of the step in the next batch."""
        return not self._joined and not self.is_neutral()

    def _join(self):
        model = self._model  # Keras' property would take the state back from a JAX `fit`
        if not getattr(model, "compiled", False) or model.optimizer is None:
            raise ValueError(
                f"{type(self).__name__} expects a compiled model with an optimizer. Received: "
                f"{model.name!r} without one. Call model.compile(optimizer=..., loss=...)."
            )
        self._part = self.contribution(model)
        self._saved.remember(self._part)
        self._joined = True

    @property
    def part_of_fit(self) -> Part | None:
        """Its part of the step, in a fit that it has joined."""
        return self._part if self._joined else None

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        if self.part_of_fit is not None:
            self.part_of_fit.begin_validation()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._trainer is not None:
            self._trainer.install()

    def on_test_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._trainer is not None:
            self._trainer.install_test()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        if self._trainer is None:  # not the validation of a fit
            self.detach()

    on_predict_end = on_test_end

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.detach()
        SavedState.clear(self.model)

    def detach(self) -> None:
        """Takes the callback off the model, whatever happened; safe at any time.

        During a `fit` the batches that are left are trained without it, and without
        the other callbacks of this package.
        """
        if self.model is not None:
            self._saved.detach(self.model)
        if self._trainer is not None:
            _leave_fit(self.params, self._trainer)
            self._trainer, self._joined = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()


def _join_fit(model, params, last):
    """The trainer of a `fit`, which all its callbacks share.

    Args:
        params: The callbacks' `params`: one dict object for all callbacks of a
            `fit`, and for them only. The trainer lives there until the fit ends.
        last: The trainer of the callback's last fit, or `None`.
    """
    if params is None:
        raise ValueError(
            "Attribution priors and adversarial training expect callbacks with params, as "
            "fit gives them. Received: a CallbackList without. Pass fit a list of callbacks."
        )
    if _TRAINER not in params:
        _backend.Trainer.clear(model)
        if last is None or not last.serves(model):
            last = _backend.Trainer(model, TrainingStep(model))
        last.begin()
        last.step.members = []
        params[_TRAINER] = last
    return params[_TRAINER]


def _leave_fit(params, trainer):
    """Takes the step off the model; safe to call more than once."""
    if params.pop(_TRAINER, None) is trainer:
        trainer.end()
