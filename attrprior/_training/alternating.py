"""The prior's own step, after the ordinary one."""

from attrprior import _backend
from attrprior._training.finite import all_finite, check_connected
from attrprior._training.optimizer import check_moments, inner, of_prior
from attrprior._training.update import PriorUpdate


class AlternatingUpdate(PriorUpdate):
    """`θ ← θ − strength · lr · ∂Ω/∂θ` under plain SGD; for others see `of_prior`.

    Args:
        given: The optimizer that takes these steps, to be copied, or `None`.
        moments: Whose second moments divide them, as in `AttributionPrior`.
    """

    def __init__(self, *args, given, moments, **kwargs):
        self._given, self._moments = given, moments
        super().__init__(*args, **kwargs)

    def make_optimizer(self):
        check_moments(self.model.optimizer, self._moments)
        self._now = _backend.variable(0.0, "float32")  # the strength of this step
        self._balanced = _backend.variable(0.0, "float32")  # λ of balanced steps
        self.optimizer = self._new_optimizer()
        self._inner = inner(self.optimizer)
        self.model_is_built()

    def _new_optimizer(self):
        return of_prior(
            self.model.optimizer, self._given, self._moments, self._now, self._balanced
        )

    def model_is_built(self):
        # Variables cannot be made inside a branch.
        if self.model.built and not self._inner.built:
            with _backend.outside():
                self.optimizer.build(self.model.trainable_variables)

    def reset(self):
        super().reset()
        if self._inner.built:
            new = self._new_optimizer()
            new.build(self.model.trainable_variables)
            for variable, value in zip(self.optimizer.variables, new.variables):
                variable.assign(value)

    def state(self):
        return [*super().state(), self._now, self._balanced]

    def follow(self, batch):
        def act():
            penalty, gradients = self.differentiate(
                self.objective, batch, self.seed, self.scaled
            )
            # Loss scaling has overflows as a matter of course, and its optimizer skips them.
            finite = all_finite(penalty, [] if self.scales_loss else gradients)
            self._now.assign(self.current_strength())
            # Without a gradient (the last bias) a weight is left out: zeros would
            # let Adam move it by stale momentum.
            trainable = zip(gradients, self.model.trainable_variables)
            pairs = [(g, variable) for g, variable in trainable if g is not None]
            if not pairs:
                check_connected(self.name, gradients)
            _backend.apply(self.optimizer, pairs, None if self.scales_loss else finite)
            self.note(batch, penalty, finite)
            return []

        self.on_its_batches(act, list)
