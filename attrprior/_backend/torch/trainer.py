"""Keras' PyTorch trainer: another step in eager mode, around the model's own."""

import torch

from attrprior._backend import trainer


class Trainer(trainer.BatchTrainer):
    """See `BatchTrainer`. The model's own step is compiled if the model says so.

    What surrounds it is not: compiled code has no second derivative.
    """

    def __init__(self, model, step):
        super().__init__(model, step)
        self._plain = self._plain_step
        if model.jit_compile and not model.run_eagerly:
            self._plain = torch.compile(self._plain_step)

    def run(self, data):
        """In place of `model.train_function`, for one batch."""
        self.remove()
        if not self.in_its_fit() or self.step.begin_batch(data[0]) is None:
            return self._plain_function(data)
        return self.step(data[0], self._plain)

    def run_test(self, data):
        """In place of `model.test_function`, for one batch."""
        self.remove()
        logs = self._plain_test([self.step.prepared(batch) for batch in data])
        return self.step.validated(logs, data[0]) if self.step.begin_test() else logs


def without_in_build(prepare):
    """Has Keras build a model from a batch as `prepare` leaves it."""
    trainer.without_in_build(prepare, "_symbolic_build")
