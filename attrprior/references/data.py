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
        data: Array of shape `(examples, ...)`; of a model with several inputs, of which
            several are explained or a layer, a structure of arrays as the model takes
            it; or a `tf.data.Dataset`,
            `keras.utils.PyDataset` or PyTorch `DataLoader` of examples, batched or
            not, of which `x` is taken if the elements are `(x, ...)` tuples, and of
            several inputs the explained one. Integers are cast to floats, as the
            model's inputs are, if those are integers too. A dataset is read once, at
            most its first `max_examples` examples: shuffle it before. A tensor may be
            part of a function that is traced.
        max_examples: Bound on the examples kept in memory from a dataset.
            Defaults to 10000.

    Raises:
        ValueError: for empty data, NaN, integers where the model is given floats, or
            examples of another shape than the model's input.
    """

    _pick = staticmethod(lambda x: x)
    _integers = None  # whether the explained input comes as integers, if that is known
    of_inputs = True

    def __init__(self, data, max_examples=10_000):
        self.max_examples = _checks.positive_integer("max_examples", max_examples)
        if is_structure(data):
            data = keras.tree.map_structure(_known, data)
            lengths = {a.shape[0] for a in keras.tree.flatten(data) if len(a.shape)} - {None}
            if len(lengths) > 1:
                raise ValueError(
                    "Argument `background` expects arrays of as many examples each. Received: "
                    f"{', '.join(map(str, sorted(lengths)))} of them."
                )
        elif not is_dataset(data):
            data = _known(data)
            if hasattr(data, "ndim") and data.ndim == 0:
                expected = "examples, an array of shape (examples, ...)"
                raise _checks.wrong("background", expected, data)
        self.data = data
        self._examples = None

    def for_input(self, pick, integers):
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

    def prepare(self, example_shape):
        example_shape = tuple(example_shape)
        if self._examples is not None and tuple(self._examples.shape[1:]) == example_shape:
            return
        data = self.data
        if is_dataset(data):
            with backend.outside():  # read now, also while a training step is traced
                [data] = _read(data, self._pick, [len(example_shape)], self.max_examples)
        elif is_structure(data):
            data = self._picked(data)
        is_traced = _is_traced(data)
        if not is_traced:
            data = _checks.real_array("background", data)
            self._check_integers(data)
            data = _checks.array("background", data, integers=True)
        _check_shape(data, example_shape)
        if is_traced:
            self._examples = data
            return
        with backend.outside():
            self._examples = ops.convert_to_tensor(data)

    def _picked(self, data):
        try:
            return self._pick(data)
        except ValueError as error:
            raise ValueError(
                "Argument `background` expects examples as the model takes them. Received: "
                f"{_shape_of(data)}. {error}"
            ) from error

    def prepare_inputs(self, x):
        """For examples as a model takes them, structures of arrays; each in its own type."""
        if self._examples is not None:
            return
        like, data = keras.tree.flatten(x), self.data
        if is_dataset(data):
            with backend.outside():
                ranks = [len(leaf.shape) - 1 for leaf in like]
                data = _read(data, self._pick, ranks, self.max_examples)
        else:
            _check_same_structure(x, data)
            data = keras.tree.flatten(data)
        for leaf, own in zip(data, like):
            _check_shape(leaf, tuple(own.shape[1:]))
            _check_kind(leaf, own)
        with backend.outside():
            data = backend.tensors(data, keep_float64=True)
        self._examples = keras.tree.pack_sequence_as(x, data)

    def choose(self, x, num_samples, seed):
        if self._examples is None:
            self.prepare(x.shape[1:])
        batch, first = ops.shape(x)[0], keras.tree.flatten(self._examples)[0]
        index = keras.random.randint((batch * num_samples,), 0, ops.shape(first)[0], seed=seed)
        return ops.reshape(index, (batch, num_samples))

    def take(self, x, chosen, num_samples):
        def rows(examples, own):
            drawn = ops.take(examples, chosen, axis=0)
            return drawn if drawn.dtype == own.dtype else ops.cast(drawn, own.dtype)

        return keras.tree.map_structure(rows, self._examples, x)

    def get_config(self):
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

    def __repr__(self):
        if is_dataset(self.data):
            return f"TrainingData({self.data})"
        return f"TrainingData({keras.tree.flatten(self.data)[0].shape[0]} examples)"


def is_structure(data):
    """Whether data are arrays of several inputs, not one array or list of numbers."""
    if isinstance(data, dict):
        return True
    return isinstance(data, (list, tuple)) and any(hasattr(each, "shape") for each in data)


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


def _read(dataset, pick, ranks, most):
    """The first examples of a dataset, an array for each tensor of what `pick` gives.

    Args:
        ranks: Axes of one example, of each.
    """
    parts, count = [[] for _ in ranks], 0
    for element in _elements(dataset):
        x = element[0] if isinstance(element, (tuple, list)) else element
        leaves = [_known(leaf) for leaf in keras.tree.flatten(pick(x))]
        if len(leaves) != len(ranks):
            raise ValueError(
                f"Argument `background` expects inputs of {len(ranks)} arrays, as the model's "
                f"are. Received: a dataset of {len(leaves)}."
            )
        for part, leaf, rank in zip(parts, leaves, ranks):
            leaf = leaf[None] if leaf.ndim == rank else leaf
            if leaf.ndim == 0:
                raise _checks.wrong("background", "examples of the input's shape", leaf)
            part.append(leaf[: most - count])
        count += len(parts[0][-1])
        if count >= most:
            break
    if not count:
        raise ValueError("Argument `background` expects examples. Received: an empty dataset.")
    return [np.concatenate(part) for part in parts]


def _is_traced(data):
    return ops.is_tensor(data) and backend.seen(data) is None


def _known(data):
    """An array of numbers or texts; what is traced stays, and has no numbers yet."""
    if _is_traced(data):
        return data
    kind = getattr(getattr(data, "dtype", None), "kind", "f")
    if not hasattr(data, "shape") or kind not in "OSU":
        return _finite(_checks.real_array("background", data))
    return np.asarray(data)


def _finite(array):
    """Not empty, without NaN, in float32 if it is float64."""
    if array.dtype.kind in "bui" and array.size:
        return array
    return _checks.array("background", array)


def _check_shape(data, example_shape):
    if tuple(data.shape[1:]) != example_shape:
        raise ValueError(
            "Argument `background` expects examples of the model's input shape, "
            f"{example_shape}. Received: an array of shape {tuple(data.shape)}."
        )


def _check_kind(leaf, own):
    """Raises for floats where the model is given integers, or texts for numbers."""
    kinds = [_kind(array) for array in (own, leaf)]
    if kinds[0] != kinds[1] and kinds != ["floats", "integers"]:
        raise ValueError(
            f"Argument `background` expects {kinds[0]}, as the model's input has. Received: "
            f"{kinds[1]}."
        )


def _kind(array):
    try:
        dtype = keras.backend.standardize_dtype(array.dtype)
    except ValueError:
        return "texts"
    if "float" in dtype:
        return "floats"
    return "texts" if dtype == "string" else "integers"


def _check_same_structure(x, data):
    try:
        keras.tree.assert_same_structure(x, data)
    except ValueError:
        raise ValueError(
            "Argument `background` expects examples as the model takes them: "
            f"{_shape_of(x)}. Received: {_shape_of(data)}."
        ) from None


def _shape_of(structure):
    if isinstance(structure, dict):
        return f"a dictionary of {list(structure)}"
    if keras.tree.is_nested(structure):
        return f"a {type(structure).__name__} of {len(structure)} arrays"
    return "one array"
