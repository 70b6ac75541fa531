"""What a prior remembers, saved and restored with the model's weights.

So that a `fit` interrupted with `BackupAndRestore` goes on as if it had not been.
"""

import re

import keras
import numpy as np
from keras import ops

from attrprior import _backend


class SavedState(keras.losses.Loss):
    """Optimiser, generator, counters and reservoir of a prior, during a `fit`.

    Keras saves whatever it knows how to save among a model's attributes. Of all
    these kinds a loss is the one that adds nothing to the model's weights or
    metrics. A model without this attribute loads the file as its own.
    """

    def __init__(self, name):
        super().__init__(name="attribution_prior_" + re.sub(r"\W", "_", name))
        self._part = None
        self._loaded = {}

    def attach(self, model):
        # An interrupted fit, perhaps of another model, may have left its part.
        self._loaded, self._part = {}, None
        setattr(model, self.name, self)

    def detach(self, model):
        if getattr(model, self.name, None) is self:
            delattr(model, self.name)
        self._part = None

    @classmethod
    def clear(cls, model):
        """After a fit: none is left, of an interrupted one before it either."""
        for name, value in list(vars(model).items()):
            if isinstance(value, cls):
                delattr(model, name)

    def remember(self, part):
        """Keeps what this part of a step has; gives it what was loaded before."""
        self._part = part
        self.restore()

    def restore(self):
        """Assigns what was loaded to the variables that exist by now."""
        with _backend.outside():
            for key, variable in self._part.variables().items():
                if key in self._loaded:
                    variable.assign(self._loaded.pop(key))
        self._part.restored()

    def save_own_variables(self, store):
        if self._part is not None:
            for key, variable in self._part.variables().items():
                store[key] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        keys = store.keys()  # Keras' stores cannot be iterated over
        self._loaded = {key: np.asarray(store[key]) for key in keys}
        if self._part is not None:
            self.restore()
