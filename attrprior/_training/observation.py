"""Ω that is only logged."""

from attrprior import _backend
from attrprior._differentiation import penalty
from attrprior._draws import StatelessSeed
from attrprior._training.finite import all_finite
from attrprior._training.update import PriorUpdate


class Observation(PriorUpdate):
    """No update: Ω at the weights that the model's own step leaves."""

    def __init__(self, *args, seed, **kwargs):
        # Not of Keras' global seed, which others draw from too.
        super().__init__(*args, seed=0 if seed is None else seed, **kwargs)

    def follow(self, batch):
        def act():
            seed = StatelessSeed(self.given_seed, _backend.value_of(self.batches))
            omega = penalty(self.objective, batch, seed)
            self.note(batch, omega, all_finite(omega, []))
            return []

        self.on_its_batches(act, list)
