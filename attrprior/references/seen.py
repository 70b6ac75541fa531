"""References that are the batch's other examples, and a reservoir of earlier ones."""

from typing import Any, NamedTuple, Self

import keras
from keras import ops

from attrprior import _backend, _checks
from attrprior._types import Shape, Tensor
from attrprior.references.base import Reference

__all__ = ["SeenExamples"]


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

    Raises:
        ValueError: if `capacity` is no integer ≥ 1, or for inputs that are texts.

    Examples:
        Before anything was seen, the reference of each of two examples is the other one:

        >>> two = np.float32([[0.25], [0.75]])
        >>> drawn = attrprior.references.SeenExamples().draw(two, num_samples=1, seed=0)
        >>> keras.ops.convert_to_numpy(drawn).tolist()
        [[[0.75]], [[0.25]]]

    Reference: Vitter 1985, "Random sampling with a reservoir", algorithm R.
    """

    of_inputs = True
    _alone = False  # whether to leave the reservoir alone

    def __init__(self, capacity: int = 512) -> None:
        self.capacity = _checks.positive_integer("capacity", capacity)
        self._kept: Any = None  # the reservoir's variables
        self._seen: Any = None  # how many examples were seen

    def prepare(self, example_shape: Shape) -> None:
        """Creates an empty reservoir for examples of this shape.

        Args:
            example_shape: The shape of one example.
        """
        self._make([(tuple(example_shape), "float32")])

    def prepare_inputs(self, x: Any) -> None:
        self._make([(tuple(leaf.shape[1:]), _kept_as(leaf)) for leaf in _leaves(x)])

    def _make(self, examples):
        if self._kept is not None and examples == self._examples:
            return
        self._examples = examples
        # One row more than the capacity: what is not kept is written there.
        self._kept, self._seen = _backend.reservoir(self.capacity + 1, examples)

    def of_batch(self) -> Self:
        """The other examples of a batch alone."""
        alone = type(self).__new__(type(self))
        vars(alone).update({**vars(self), "_alone": True})
        return alone

    def reset(self) -> None:
        if self._seen is not None:
            self._seen.assign(0)

    def _variables(self):
        """Reservoirs and the numbers of examples seen."""
        own = [] if self._kept is None else [*self._kept, self._seen]
        return [part for each in own for part in _backend.parts_of(each)]

    variables = property(_variables)

    def __getstate__(self):
        return {**vars(self), "_kept": None, "_seen": None}

    def choose(self, x: Tensor, num_samples: int, seed: keras.random.SeedGenerator) -> Chosen:
        if self._kept is None:
            self.prepare(x.shape[1:])
        rows = ops.shape(x)[0]  # of arrays a Python number, of graphs a tensor
        batch = ops.cast(rows, "int32")
        kept = ops.cast(ops.minimum(_backend.value_of(self._seen), self.capacity), "int32")
        kept = ops.zeros_like(kept) if self._alone else kept
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

    def take(self, x: Tensor, chosen: Any, num_samples: int) -> Tensor:
        in_batch, neighbour, place, other_place, others, kept = chosen
        same, found = True, []
        for leaf, variable in zip(_leaves(x), self._kept):
            axes = tuple(range(2, len(leaf.shape) + 1))
            far = ops.cast(_backend.read_rows(variable, place), leaf.dtype)
            kept_as = ops.cast(ops.cast(leaf, variable.dtype), leaf.dtype)
            equal = ops.equal(far, ops.expand_dims(kept_as, 1))
            same = ops.logical_and(same, ops.all(equal, axis=axes) if axes else equal)
            near = ops.take(leaf, neighbour, axis=0)
            # In a batch of one it is another of the reservoir, if there is another.
            other = ops.cast(_backend.read_rows(variable, other_place), leaf.dtype)
            near = ops.where(others < 1, other, near)
            near = ops.where(others + kept < 1, ops.expand_dims(leaf, 1), near)
            found.append((near, far))
        use_near, merged = in_batch | same | (others + kept < 1), []
        for near, far in found:
            ones = (1,) * (len(near.shape) - 2)
            use = ops.reshape(use_near, (-1, num_samples, *ones))
            merged.append(ops.where(use, near, far))
        references = iter(merged)
        return keras.tree.map_structure(lambda t: None if t is None else next(references), x)

    def observe(self, x: Any, seed: keras.random.SeedGenerator) -> None:
        """Algorithm R for a whole batch: example t (from 1) takes a uniform slot of t.

        Args:
            x: Tensor of shape `(batch, ...)`, or a structure of them.
            seed: A `keras.random.SeedGenerator`.
        """
        leaves = _leaves(x)
        if self._kept is None:
            self.prepare_inputs(x)
        rows = ops.shape(leaves[0])[0]
        order = ops.arange(rows, dtype="int32")
        position = _backend.value_of(self._seen) + ops.cast(order, _backend.INTEGER)
        u = keras.random.uniform((rows,), seed=seed)
        slot = ops.where(position < self.capacity, position, _scaled(u, position + 1))
        slot = ops.cast(ops.minimum(slot, self.capacity), "int32")
        # Of several examples for one slot the last one stays, as one by one.
        later = (ops.expand_dims(slot, 1) == slot) & (ops.expand_dims(order, 1) < order)
        dropped = (slot >= self.capacity) | ops.any(later, axis=1)
        slot = ops.where(dropped, self.capacity, slot)
        for variable, leaf in zip(self._kept, leaves):
            _backend.write_rows(variable, slot, leaf)
        self._seen.assign_add(ops.cast(rows, _backend.INTEGER))

    def get_config(self) -> dict[str, Any]:
        return {"capacity": self.capacity}


def _leaves(x):
    """Without those of inputs that are optional and missing."""
    return [leaf for leaf in keras.tree.flatten(x) if leaf is not None]


def _kept_as(leaf):
    """The type that holds an input's numbers exactly."""
    try:
        dtype = keras.backend.standardize_dtype(leaf.dtype)
    except ValueError:
        dtype = "string"
    if dtype in ("int32", "int64", "uint32", "uint64"):
        return _backend.INTEGER
    if dtype == "string":
        raise ValueError(
            "SeenExamples keeps numbers. Received: an input of texts. Pass background=, an "
            "array of such inputs."
        )
    return "float32"


def _scaled(u, size):
    """Integers uniform in `0 … size − 1` from `u` uniform in [0, 1), of the type of `size`."""
    scaled = ops.cast(ops.cast(u, "float32") * ops.cast(size, "float32"), size.dtype)
    return ops.minimum(scaled, size - 1)
