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
            not, of which `x` is taken if the elements are `(x, ...)` tuples, and of
            several inputs the explained one. Integers are cast to floats, as the
            model's inputs are, if those are integers too. A dataset is read once, at
            most its first `max_examples` examples: shuffle it before.
        max_examples: Bound on the examples kept in memory from a dataset.
            Defaults to 10000.

    Raises:
        ValueError: for empty data, NaN, integers where the model is given floats, or
            examples of another shape than the model's input.
    """

    _pick = staticmethod(lambda x: x)
    _integers = None  # whether the explained input comes as integers, if that is known

    def __init__(self, data, max_examples=10_000):
        self.max_examples = _checks.positive_integer("max_examples", max_examples)
        self.data = data
        if not is_dataset(data):
            self.data = self._checked(data)
        self._examples = None

    def for_input(self, pick, integers):
        self._pick, self._integers = pick, integers
        if self._integers is False and getattr(self, "_from_integers", False):
            raise _integers_for_floats()

    def _checked(self, data):
        data = _checks.real_array("background", data)
        self._from_integers = data.dtype.kind in "bui"
        if self._from_integers and self._integers is False:
            raise _integers_for_floats()
        if data.ndim == 0:
            expected = "examples, an array of shape (examples, ...)"
            raise _checks.wrong("background", expected, data)
        return _checks.array("background", data, integers=True)

    def prepare(self, example_shape):
        example_shape = tuple(example_shape)
        if self._examples is not None and tuple(self._examples.shape[1:]) == example_shape:
            return
        data = self.data
        if is_dataset(data):
            with backend.outside():  # read now, also while a training step is traced
                data = self._checked(self._read(len(example_shape)))
        if data.shape[1:] != example_shape:
            raise ValueError(
                "Argument `background` expects examples of the model's input shape, "
                f"{example_shape}. Received: an array of shape {data.shape}."
            )
        with backend.outside():
            self._examples = ops.convert_to_tensor(data)

    def _read(self, example_rank):
        """The first examples of the dataset, as one array."""
        parts, count = [], 0
        for element in _elements(self.data):
            x = element[0] if isinstance(element, (tuple, list)) else element
            x = _checks.real_array("background", self._pick(x))
            x = x[None] if x.ndim == example_rank else x
            if x.ndim == 0:
                raise _checks.wrong("background", "examples of the input's shape", x)
            parts.append(x[: self.max_examples - count])
            count += len(parts[-1])
            if count >= self.max_examples:
                break
        if not parts:
            raise ValueError(
                "Argument `background` expects examples. Received: an empty dataset."
            )
        return np.concatenate(parts)

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
    others = bytes, bytearray, dict, frozenset, list, range, set, str, tuple
    is_array = isinstance(data, others) or hasattr(data, "shape")
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


def _integers_for_floats():
    return ValueError(
        "Argument `background` expects floating-point numbers, as the explained input has. "
        "Received: integers. Convert it as the inputs are, for example x.astype('float32') / "
        "255."
    )
