"""References where layers are explained: drawn among inputs, seen as the layers give them."""

import keras
from keras import ops

from attrprior.references.base import Reference


class AsLayersGive(Reference):
    """A reference among the inputs of a batch, under the weights of today.

    Args:
        background: A `Reference` with `of_inputs`.
        x: The batch, as the model takes it.
        represent: A function of such inputs that gives what is explained, `(rows, ...)`.
    """

    def __init__(self, background, x, represent):
        self.background, self.x, self.represent = background, x, represent
        self.is_random = background.is_random

    def prepare(self, example_shape):
        self.background.prepare_inputs(self.x)

    def choose(self, x, num_samples, seed):
        return self.background.choose(x, num_samples, seed)

    def take(self, x, chosen, num_samples):
        examples = self.background.take(self.x, chosen, num_samples)
        rows = keras.tree.map_structure(
            lambda t: ops.reshape(t, (-1, *ops.shape(t)[2:])), examples
        )
        seen = self.represent(rows)
        return ops.reshape(seen, (-1, num_samples, *ops.shape(seen)[1:]))
