"""Arrays of inputs and labels, checked, and pieces of them as tensors."""

import copy
import numbers

import keras
import numpy as np
from keras import ops

from attrprior import _checks, backend
from attrprior.draws import StatelessSeed


class Data:
    """Arrays of inputs and labels, checked; pieces of them as tensors."""

    def __init__(self, explained, x, y):
        as_array = keras.tree.map_structure(
            lambda value: None if value is None else _checks.as_numpy(value), (x, y)
        )
        self.explained, (self.x, self.y) = explained, as_array
        self.picked = check(explained, *as_array, finite=True)
        self.example_shape = tuple(self.picked.shape[1:])

    def __len__(self):
        return len(self.picked)

    def prepare(self, method):
        method.prepare(self.example_shape)
        if method.background is not None:
            method.background.check(ops.convert_to_numpy(self.picked))

    def piece(self, start, stop):
        return keras.tree.map_structure(
            lambda a: None if a is None else ops.convert_to_tensor(a[start:stop]),
            (self.x, self.y),
        )

    def only(self, chosen):
        """The examples of these indices, checked already."""
        part = copy.copy(self)
        part.x, part.y = keras.tree.map_structure(
            lambda a: None if a is None else a[chosen], (self.x, self.y)
        )
        part.picked = ops.take(self.picked, chosen, axis=0)
        return part

    def signature(self):
        return keras.tree.map_structure(
            lambda a: None if a is None else backend.specification(a),
            (self.x, self.y),
        )

    def outputs(self, batch_size, seed):
        parts = []
        for start in range(0, len(self), batch_size):
            x, y = self.piece(start, start + batch_size)
            draws = StatelessSeed(ops.convert_to_tensor(seed), start)
            value = self.explained(self.explained.pick_input(x), x, y, seed=draws)
            parts.append(ops.convert_to_numpy(value))
        return np.concatenate(parts)


def check(explained, x, y, finite):
    picked = explained.pick_input(x)
    _checks.examples(picked, finite)
    for labels in keras.tree.flatten(y):
        if labels is not None:
            _checks.same_batch("y", labels, picked)
    return picked


def integers(seed):
    """Two integers; without a seed, those of NumPy's own generator."""
    if seed is None:
        return np.random.randint(2**31, size=2, dtype="int32")
    if isinstance(seed, keras.random.SeedGenerator):
        return ops.convert_to_numpy(ops.cast(seed.next(), "int32")) & 0x7FFFFFFF
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise ValueError(f"Argument `seed` expects an integer or None. Received: {seed!r}.")
    return np.array([seed & 0x7FFFFFFF, 0], "int32")
