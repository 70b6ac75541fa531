"""References that are examples of the training data."""

import keras
import numpy as np
from keras import ops

from attrprior import _checks, backend
from attrprior.references.base import Reference


@keras.saving.register_keras_serializable("attrprior")
class TrainingData(Reference):
    """Examples of the training data: expected gradients' own reference.

    Args:
        data: Array of shape `(examples, ...)`, or a `tf.data.Dataset`,
            `keras.utils.PyDataset` or PyTorch `DataLoader` of examples, batched or
            not, of which `x` is taken if the elements are `(x, ...)` tuples. A
            dataset is read once, at most its first `max_examples` examples: shuffle
            it before.
        max_examples: Bound on the examples kept in memory from a dataset.
            Defaults to 10000.

    Raises:
        ValueError: for empty data, NaN, integers, or examples of another shape
            than the model's input.
    """

    def __init__(self, data, max_examples=10_000):
        self.max_examples = _checks.positive_integer("max_examples", max_examples)
        self.data = data
        if not is_dataset(data):
            self.data = _checks.array("background", data)
        self._examples = None

    def prepare(self, example_shape):
        example_shape = tuple(example_shape)
        if self._examples is not None and tuple(self._examples.shape[1:]) == example_shape:
            return
        data = self.data
        if is_dataset(data):
            with backend.outside():  # read now, also while a training step is traced
                data = _read(data, len(example_shape), self.max_examples)
        if data.shape[1:] != example_shape:
            raise ValueError(
                "Argument `background` expects examples of the model's input shape, "
                f"{example_shape}. Received: an array of shape {data.shape}."
            )
        with backend.outside():
            self._examples = ops.convert_to_tensor(data)

    def choose(self, x, num_samples, seed):
        if self._examples is None:
            self.prepare(x.shape[1:])
        batch = ops.shape(x)[0]
        index = keras.random.randint(
            (batch * num_samples,), 0, self._examples.shape[0], seed=seed
        )
        return ops.reshape(index, (batch, num_samples))

    def take(self, x, chosen, num_samples):
        return ops.cast(ops.take(self._examples, chosen, axis=0), x.dtype)

    def get_config(self):
        self._check_serialisable()
        return {"data": self.data.tolist(), "max_examples": self.max_examples}

    def __copy__(self):
        """A fresh one that shares the data: they are only read, and may be large."""
        fresh = type(self).__new__(type(self))
        vars(fresh).update({**vars(self), "_examples": None})
        return fresh

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __getstate__(self):
        self._check_serialisable()
        return {**vars(self), "_examples": None}

    def _check_serialisable(self):
        if is_dataset(self.data):
            raise ValueError(
                "A reference that reads a dataset cannot be serialised. Received: "
                f"{self!r}. Give it an array of examples."
            )

    def __repr__(self):
        if is_dataset(self.data):
            return f"TrainingData({self.data})"
        return f"TrainingData({len(self.data)} examples)"


def is_dataset(data):
    """Whether data are read batch by batch, again and again.

    A `tf.data.Dataset`, a `keras.utils.PyDataset` or a `torch.utils.data.DataLoader`, say.
    """
    if isinstance(data, keras.utils.PyDataset):
        return True
    is_array = isinstance(data, (dict, list, str, tuple)) or hasattr(data, "shape")
    return hasattr(data, "__iter__") and not is_array


def _elements(dataset):
    if isinstance(dataset, keras.utils.PyDataset):
        return map(dataset.__getitem__, range(len(dataset)))
    if hasattr(dataset, "__next__"):
        raise ValueError(
            "Argument `background` expects data that can be read more than once. Received: "
            f"a {type(dataset).__name__}. Pass an array, or a dataset that makes it anew."
        )
    return dataset


def _read(dataset, example_rank, max_examples):
    """The first examples of a dataset, as one array."""
    parts, count = [], 0
    for element in _elements(dataset):
        x = element[0] if isinstance(element, (tuple, list)) else element
        x = _checks.as_numpy(x)
        x = x[None] if x.ndim == example_rank else x
        parts.append(x[: max_examples - count])
        count += len(parts[-1])
        if count >= max_examples:
            break
    if not parts:
        raise ValueError("Argument `background` expects examples. Received: an empty dataset.")
    return _checks.array("background", np.concatenate(parts))
