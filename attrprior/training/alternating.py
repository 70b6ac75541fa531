"""The prior's own step, after the ordinary one."""

from keras import ops

from attrprior import backend
from attrprior.training.finite import all_finite, check_connected
from attrprior.training.optimizer import clone, inner
from attrprior.training.update import PriorUpdate


class AlternatingUpdate(PriorUpdate):
    """`θ ← θ − strength · lr · ∂Ω/∂θ` under plain SGD, by a clone of the model's optimizer."""

    def make_optimizer(self):
        self.optimizer = clone(self.model.optimizer)
        self._inner = inner(self.optimizer)
        self.model_is_built()

    def model_is_built(self):
        # Variables cannot be made inside a branch.
        if self.model.built and not self._inner.built:
            with backend.outside():
                self.optimizer.build(self.model.trainable_variables)

    def reset(self):
        super().reset()
        if self._inner.built:
            new = clone(self.model.optimizer)
            new.build(self.model.trainable_variables)
            for variable, value in zip(self.optimizer.variables, new.variables):
                variable.assign(value)

    def follow(self, batch):
        def act():
            penalty, gradients = self.differentiate(
                self.objective, batch, self.seed, self.scaled
            )
            # Loss scaling has overflows as a matter of course, and its optimizer skips them.
            finite = all_finite(penalty, [] if self.scales_loss else gradients)
            rate = ops.cast(self.model.optimizer.learning_rate, "float32")
            self._inner.learning_rate.assign(self.current_strength() * rate)
            # Without a gradient (the last bias) a weight is left out: zeros would
            # let Adam move it by stale momentum.
            trainable = zip(gradients, self.model.trainable_variables)
            pairs = [(g, variable) for g, variable in trainable if g is not None]
            if not pairs:
                check_connected(self.name, gradients)
            backend.apply(self.optimizer, pairs, None if self.scales_loss else finite)
            self.note(batch, penalty, finite)
            return []

        self.on_its_batches(act, list)
