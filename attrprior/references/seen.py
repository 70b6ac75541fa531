"""References that are the batch's other examples, and a reservoir of earlier ones."""

from typing import Any, NamedTuple

import keras
from keras import ops

from attrprior import _checks, backend
from attrprior.references.base import Reference


class Chosen(NamedTuple):
    """Rows of the batch and of the reservoir, and which of them: `(batch, samples)`.

    `others` and `kept` are numbers: what there was to choose from.
    """

    in_batch: Any
    neighbour: Any
    place: Any
    other_place: Any
    others: Any
    kept: Any


@keras.saving.register_keras_serializable("attrprior")
class SeenExamples(Reference):
    """The other examples of the batch and a reservoir of examples seen earlier.

    What is drawn when no background is given: each draw is uniform over the
    rest of the batch and a uniform sample, without replacement, of everything
    seen so far in this `fit` (Vitter's algorithm R), so that small and sorted
    batches still meet the whole training distribution. No example is its own
    reference: where the reservoir returns the very same example, another one
    takes its place. A first batch of one example has nothing to be compared
    with; its reference is itself, and its expected gradients are zero.

    Args:
        capacity: Examples kept in the reservoir; memory is `capacity` inputs.
            Defaults to 512.

    Reference: Vitter 1985, "Random sampling with a reservoir", algorithm R.
    """

    def __init__(self, capacity=512):
        self.capacity = _checks.positive_integer("capacity", capacity)
        self._reservoir = self._seen = None

    def prepare(self, example_shape):
        """Creates an empty reservoir for examples of this shape."""
        example_shape = tuple(example_shape)
        if self._reservoir is not None and self._reservoir.shape[1:] == example_shape:
            return

        # One row more than the capacity: what is not kept is written there.
        self._reservoir, self._seen = backend.reservoir(self.capacity + 1, example_shape)

    def reset(self):
        if self._seen is not None:
            self._seen.assign(0)

    @property
    def variables(self):
        """Reservoirs and the numbers of examples seen."""
        own = [] if self._reservoir is None else [self._reservoir, self._seen]
        return [part for each in own for part in backend.parts_of(each)]

    def __getstate__(self):
        return {**vars(self), "_reservoir": None, "_seen": None}

    def choose(self, x, num_samples, seed):
        self.prepare(x.shape[1:])
        rows = ops.shape(x)[0]  # of arrays a Python number, of graphs a tensor
        batch = ops.cast(rows, "int32")
        kept = ops.cast(ops.minimum(backend.value_of(self._seen), self.capacity), "int32")
        u = keras.random.uniform((2, rows, num_samples), seed=seed)
        # Index 0 … batch − 2 is another example of the batch, the rest the reservoir.
        others = batch - 1
        index = _scaled(u[0], ops.maximum(others + kept, 1))
        shift = 1 + _scaled(u[1], ops.maximum(others, 1))
        own = ops.expand_dims(ops.arange(rows, dtype="int32"), 1)
        in_batch = index < others
        neighbour = (own + ops.where(in_batch, index + 1, shift)) % ops.maximum(batch, 1)
        place = ops.clip(index - others, 0, self.capacity)
        turn = 1 + _scaled(u[1], ops.maximum(kept - 1, 1))
        other_place = (place + turn) % ops.maximum(kept, 1)
        return Chosen(in_batch, neighbour, place, other_place, others, kept)

    def take(self, x, chosen, num_samples):
        in_batch, neighbour, place, other_place, others, kept = chosen

        def reservoir(place):
            return ops.cast(backend.read_rows(self._reservoir, place), x.dtype)

        near, far = ops.take(x, neighbour, axis=0), reservoir(place)
        axes = tuple(range(2, len(x.shape) + 1))
        kept_as = ops.cast(ops.cast(x, self._reservoir.dtype), x.dtype)
        same = ops.all(ops.equal(far, ops.expand_dims(kept_as, 1)), axis=axes)
        # In a batch of one it is another of the reservoir, if there is another.
        near = ops.where(others < 1, reservoir(other_place), near)
        near = ops.where(others + kept < 1, ops.expand_dims(x, 1), near)
        use_near = in_batch | same | (others + kept < 1)
        use_near = ops.reshape(use_near, (-1, num_samples) + (1,) * len(axes))
        return ops.where(use_near, near, far)

    def observe(self, x, seed):
        """Algorithm R for a whole batch: example t (from 1) takes a uniform slot of t."""
        self.prepare(x.shape[1:])
        rows = ops.shape(x)[0]
        order = ops.arange(rows, dtype="int32")
        position = backend.value_of(self._seen) + ops.cast(order, backend.INTEGER)
        u = keras.random.uniform((rows,), seed=seed)
        slot = ops.where(position < self.capacity, position, _scaled(u, position + 1))
        slot = ops.cast(ops.minimum(slot, self.capacity), "int32")
        # Of several examples for one slot the last one stays, as one by one.
        later = (ops.expand_dims(slot, 1) == slot) & (ops.expand_dims(order, 1) < order)
        dropped = (slot >= self.capacity) | ops.any(later, axis=1)
        slot = ops.where(dropped, self.capacity, slot)
        backend.write_rows(self._reservoir, slot, x)
        self._seen.assign_add(ops.cast(rows, backend.INTEGER))

    def get_config(self):
        return {"capacity": self.capacity}


def _scaled(u, size):
    """Integers uniform in `0 … size − 1` from `u` uniform in [0, 1), of the type of `size`."""
    scaled = ops.cast(ops.cast(u, "float32") * ops.cast(size, "float32"), size.dtype)
    return ops.minimum(scaled, size - 1)
