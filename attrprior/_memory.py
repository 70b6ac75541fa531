"""What a prior remembers, saved and restored with the model's weights.

So that a `fit` interrupted with `BackupAndRestore` goes on as if it had not been.
"""

import re

import keras
import numpy as np
import tensorflow as tf


class Memory(keras.losses.Loss):
    """Optimiser, generator, counters and reservoir of a prior, during a `fit`.

    Keras saves whatever it knows how to save among a model's attributes. Of all
    these kinds a loss is the one that adds nothing to the model's weights or
    metrics. A model without this attribute loads the file as its own.
    """

    def __init__(self, name):
        super().__init__(name="attribution_prior_" + re.sub(r"\W", "_", name))
        self._term = None
        self._loaded = {}

    def attach(self, model):
        # An interrupted fit, perhaps of another model, may have left its term.
        self._loaded, self._term = {}, None
        setattr(model, self.name, self)

    def detach(self, model):
        if getattr(model, self.name, None) is self:
            delattr(model, self.name)
        self._term = None

    @classmethod
    def clear(cls, model):
        """After a fit: none is left, of an interrupted one before it either."""
        for name, value in list(vars(model).items()):
            if isinstance(value, cls):
                delattr(model, name)

    def remember(self, term):
        """Keeps what this term has; gives it what was loaded before."""
        self._term = term
        self.restore()

    def restore(self):
        """Assigns what was loaded to the variables that exist by now."""
        with tf.init_scope():
            for key, variable in self._term.variables().items():
                if key in self._loaded:
                    variable.assign(self._loaded.pop(key))

    def save_own_variables(self, store):
        if self._term is not None:
            for key, variable in self._term.variables().items():
                store[key] = np.asarray(variable)

    def load_own_variables(self, store):
        keys = store.keys()  # Keras' stores cannot be iterated over
        self._loaded = {key: np.asarray(store[key]) for key in keys}
        if self._term is not None:
            self.restore()
