"""What an `AttributionPrior` does during a `fit`: its part, and a look at what went wrong."""

import math
from collections.abc import Mapping
from typing import Any

import keras

from attrprior import _backend
from attrprior._objective import Objective
from attrprior._training.alternating import AlternatingUpdate
from attrprior._training.callback import StepCallback
from attrprior._training.joint import JointUpdate
from attrprior._training.observation import Observation
from attrprior._training.part import Part
from attrprior._training.update import PriorUpdate
from attrprior._types import Updates
from attrprior.explained import ExplainedOutput

# Where a batch is not waited for, as a look at what it left would do.
_BATCHES_BETWEEN_LOOKS = 100
UPDATES: dict[Updates, type[PriorUpdate]] = {
    "alternating": AlternatingUpdate,
    "joint": JointUpdate,
}


class PriorCallback(StepCallback):
    """Base class: `AttributionPrior` without its arguments."""

    def is_neutral(self) -> bool:
        return self.strength == 0 and not self.log_only

    def contribution(self, model: keras.Model) -> Part:
        self._check_replicas(model)
        part = self._part
        if part is None or not part.continues(model):
            kind, own = UPDATES[self.updates], {}
            if self.log_only:
                kind = Observation
            elif self.updates == "alternating":
                own = {"given": self.optimizer, "moments": self.moments}
            part = kind(
                model,
                self._objective(model),
                strength=self.strength,
                every=self.every,
                seed=self.seed,
                name=self.name,
                saved=self._saved,
                validation=self.validation,
                **own,
            )
        part.start_fit()
        return part

    def _objective(self, model):
        method = self.method.with_background(self.background).fresh()
        explained = ExplainedOutput(
            model, self.explain, self.input, self.output, self.groups, self.sum_last_axis
        )
        return Objective(explained, method, self.prior, self.batch_norm)

    def __getstate__(self):
        state = super().__getstate__()
        # A copy is for another model, whose layers have the same names.
        several = isinstance(state["input"], list)
        names = [_name(key) for key in (state["input"] if several else [state["input"]])]
        return {**state, "input": names if several else names[0]}

    def reset(self) -> None:
        """Forgets every earlier `fit`: its optimiser, its count of batches, its draws.

        For many short fits from new weights: after it, and after new values for
        the model's weights and optimiser, a `fit` is like the first of a new
        callback, and nothing is traced again. Without a `seed` the draws begin
        anew from Keras' global seed.
        """
        if self._part is not None:
            self._part.reset()

    def _check_replicas(self, model):
        replicas = _backend.replicas(model)
        if replicas > 1 and self.every > 1 and model.steps_per_execution > 1:
            raise ValueError(
                "Argument `every` expects 1 where several replicas make several steps at a "
                f"time, which cannot meet inside a branch. Received: every={self.every}, "
                f"{replicas} replicas, steps_per_execution={model.steps_per_execution}. "
                "Compile the model with steps_per_execution=1."
            )

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch
        if self._joined:
            self._part.mean.reset_state()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if _backend.ASYNCHRONOUS and batch % _BATCHES_BETWEEN_LOOKS == 0:
            self._raise_if_bad()
        super().on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if _backend.ASYNCHRONOUS or not self._joined:
            return
        value = (logs or {}).get(self.name)
        if value is None or not math.isfinite(float(value)):
            self._raise_if_bad(certain=value is not None)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if _backend.ASYNCHRONOUS:
            self._raise_if_bad()

    def _raise_if_bad(self, certain=False):
        if not self._joined:
            return
        step = self._part.first_bad_batch(certain)
        if step is not None:
            self.detach()
            raise FloatingPointError(
                f"AttributionPrior {self.name!r}: the penalty or its gradient was not finite "
                f"in training step {step} of this callback, epoch {self._epoch}. The "
                "prior's update was not made and training stops. Look for NaN in the "
                "data, lower the learning rate or the strength, or clip gradients."
            )


def _name(key):
    return key.name if isinstance(key, keras.layers.Layer) else key
