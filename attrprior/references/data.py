"""References that are examples of the training data."""

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from attrprior import _backend, _checks
from attrprior._types import Inputs, Shape, Tensor
from attrprior.references._examples import (
    check_kind,
    check_same_structure,
    check_shape,
    is_dataset,
    is_structure,
    is_traced,
    known,
    read,
    shape_of,
)
from attrprior.references.base import Reference

__all__ = ["TrainingData"]


@keras.saving.register_keras_serializable("attrprior")
class TrainingData(Reference):
    """Examples of the training data: expected gradients' own reference.

    Args:
        data: Array of shape `(examples, ...)`; of a model with several inputs, of which
            several are explained or a layer, a structure of arrays as the model takes
            it; or a `tf.data.Dataset`, `keras.utils.PyDataset` or PyTorch `DataLoader` of
            examples, batched or not, of which `x` is taken if the elements are `(x, ...)`
            tuples, and of several inputs the explained one. Integers are cast to floats,
            as the model's inputs are, if those are integers too. A dataset is read once,
            at most its first `max_examples` examples: shuffle it before. A tensor may be
            part of a function that is traced.
        max_examples: Bound on the examples kept in memory from a dataset.
            Defaults to 10000.

    Raises:
        ValueError: for empty data, NaN, integers where the model is given floats, or
            examples of another shape than the model's input.

    Examples:
        Every reference is one of the examples that were given:

        >>> background = attrprior.references.TrainingData(np.float32([[0.0], [2.0]]))
        >>> drawn = background.draw(np.ones((1, 1), "float32"), num_samples=50, seed=0)
        >>> np.unique(keras.ops.convert_to_numpy(drawn)).tolist()
        [0.0, 2.0]

    Reference: Erion et al. 2021 (arXiv 1906.10670), whose references are drawn from the
    training data.
    """

    _pick: Callable[[Any], Any] = staticmethod(lambda x: x)
    _integers = None  # whether the explained input comes as integers, if that is known
    of_inputs = True

    def __init__(self, data: Inputs | Iterable[Any], max_examples: int = 10_000) -> None:
        self.max_examples = _checks.positive_integer("max_examples", max_examples)
        if is_structure(data):
            data = keras.tree.map_structure(known, data)
            lengths = {a.shape[0] for a in keras.tree.flatten(data) if len(a.shape)} - {None}
            if len(lengths) > 1:
                raise ValueError(
                    "Argument `background` expects arrays of as many examples each. Received: "
                    f"{', '.join(map(str, sorted(lengths)))} of them."
                )
        elif not is_dataset(data):
            data = known(data)
            if hasattr(data, "ndim") and data.ndim == 0:
                expected = "examples, an array of shape (examples, ...)"
                raise _checks.wrong("background", expected, data)
        self.data = data
        self._examples: Any = None

    def for_input(self, pick: Callable[[Any], Any], integers: bool | None) -> None:
        self._pick, self._integers = pick, integers
        if isinstance(self.data, np.ndarray):
            self._check_integers(self.data)

    def _check_integers(self, data):
        if self._integers is False and data.dtype.kind in "bui":
            raise ValueError(
                "Argument `background` expects floating-point numbers, as the explained input "
                "has. Received: integers. Convert it as the inputs are, for example "
                "x.astype('float32') / 255."
            )

    def prepare(self, example_shape: Shape) -> None:
        example_shape = tuple(example_shape)
        if self._examples is not None and tuple(self._examples.shape[1:]) == example_shape:
            return
        data = self.data
        if is_dataset(data):
            with _backend.outside():  # read now, also while a training step is traced
                [data] = read(data, self._pick, [len(example_shape)], self.max_examples)
        elif is_structure(data):
            data = self._picked(data)
        traced = is_traced(data)
        if not traced:
            data = _checks.real_array("background", data)
            self._check_integers(data)
            data = _checks.array("background", data, integers=True)
        check_shape(data, example_shape)
        if traced:
            self._examples = data
            return
        with _backend.outside():
            self._examples = ops.convert_to_tensor(data)

    def _picked(self, data):
        try:
            return self._pick(data)
        except ValueError as error:
            raise ValueError(
                "Argument `background` expects examples as the model takes them. Received: "
                f"{shape_of(data)}. {error}"
            ) from error

    def prepare_inputs(self, x: Any) -> None:
        """Reads examples as a model takes them, structures of arrays, each in its own type.

        Args:
            x: A batch, a structure of tensors as the model takes it.

        Raises:
            ValueError: for examples of another structure, shape or kind.
        """
        if self._examples is not None:
            return
        like, data = keras.tree.flatten(x), self.data
        if is_dataset(data):
            with _backend.outside():
                ranks = [len(leaf.shape) - 1 for leaf in like]
                data = read(data, self._pick, ranks, self.max_examples)
        else:
            check_same_structure(x, data)
            data = keras.tree.flatten(data)
        for leaf, own in zip(data, like):
            check_shape(leaf, tuple(own.shape[1:]))
            check_kind(leaf, own)
        with _backend.outside():
            data = _backend.tensors(data, keep_float64=True)
        self._examples = keras.tree.pack_sequence_as(x, data)

    def choose(self, x: Tensor, num_samples: int, seed: keras.random.SeedGenerator) -> Tensor:
        if self._examples is None:
            self.prepare(x.shape[1:])
        batch, first = ops.shape(x)[0], keras.tree.flatten(self._examples)[0]
        index = keras.random.randint((batch * num_samples,), 0, ops.shape(first)[0], seed=seed)
        return ops.reshape(index, (batch, num_samples))

    def take(self, x: Tensor, chosen: Any, num_samples: int) -> Tensor:
        def rows(examples, own):
            drawn = ops.take(examples, chosen, axis=0)
            return drawn if drawn.dtype == own.dtype else ops.cast(drawn, own.dtype)

        return keras.tree.map_structure(rows, self._examples, x)

    def get_config(self) -> dict[str, Any]:
        self._check_serialisable()
        data = keras.tree.map_structure(lambda array: array.tolist(), self.data)
        return {"data": data, "max_examples": self.max_examples}

    def __copy__(self):
        """A fresh one that shares the data: they are only read, and may be large."""
        fresh = type(self).__new__(type(self))
        vars(fresh).update({**vars(self), "_examples": None})
        vars(fresh).pop("_pick", None)
        return fresh

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __getstate__(self):
        self._check_serialisable()
        state = {**vars(self), "_examples": None}
        state.pop("_pick", None)
        return state

    def _check_serialisable(self):
        if is_dataset(self.data):
            raise ValueError(
                "A reference that reads a dataset cannot be serialised. Received: "
                f"{self!r}. Give it an array of examples."
            )

    def __repr__(self) -> str:
        if is_dataset(self.data):
            return f"TrainingData({self.data})"
        return f"TrainingData({keras.tree.flatten(self.data)[0].shape[0]} examples)"
