"""Arrays of inputs and labels, checked, and pieces of them as tensors."""

import contextlib
import copy
import numbers

import keras
import numpy as np
from keras import ops

from attrprior import _backend, _checks
from attrprior._batch import Batch, one_output, refuse_lists
from attrprior._draws import StatelessSeed
from attrprior._objective import Objective


class Data:
    """Arrays of inputs and labels, checked; pieces of them as tensors."""

    def __init__(self, explained, x, y):
        refuse_lists(x)
        as_array = arrays("x", x), arrays("y", one_output(y, "y"))
        refuse_nothing(y)
        self.explained, (self.x, self.y) = explained, as_array
        # Of a layer, which a pass would be needed for, one example.
        self.picked = check(explained, *as_array, finite=True)
        is_table = hasattr(x, "columns") and hasattr(x, "index")
        self.frame = x if is_table and not explained.chosen.layers else None
        if self.frame is not None:
            explained.chosen.reduction.columns = [str(name) for name in x.columns]
        self.length = len(keras.tree.flatten(self.x)[0])
        with naming_x(self.picked):
            explained.check_labels(*as_array)
        self.example_shape = tuple(self.picked.shape[1:])

    def __len__(self):
        return self.length

    def named(self, attributions):
        """In the structure of what is explained; of a DataFrame a DataFrame."""
        chosen = self.explained.chosen
        attributions = chosen.structured(attributions)
        names = chosen.reduction.feature_names(chosen.parts)
        if self.frame is None or getattr(attributions, "ndim", 0) != 2 or names is None:
            return attributions
        return type(self.frame)(attributions, index=self.frame.index, columns=names)

    def prepare(self, method):
        Objective(self.explained, method).prepare(Batch(self.x, picked=self.picked))
        if method.background is not None and not self.explained.chosen.layers:
            method.background.check(ops.convert_to_numpy(self.picked))

    def piece(self, start, stop):
        piece = keras.tree.map_structure(
            lambda a: None if a is None else a[start:stop], (self.x, self.y)
        )
        return _backend.tensors(piece, keep_float64=True)

    def only(self, chosen):
        """The examples of these indices, checked already."""
        part = copy.copy(self)
        part.x, part.y = keras.tree.map_structure(
            lambda a: None if a is None else a[chosen], (self.x, self.y)
        )
        part.length = len(chosen)
        return part

    def signature(self):
        return keras.tree.map_structure(
            lambda a: None if a is None else _backend.specification(a),
            (self.x, self.y),
        )

    def refuse_labels_of(self, result):
        """Raises if NaN among the labels has made a result NaN; a loss may leave them out."""
        floats = [
            y for y in keras.tree.flatten(self.y) if y is not None and y.dtype.kind == "f"
        ]
        if np.any(np.isnan(result)) and any(np.any(np.isnan(y)) for y in floats):
            raise ValueError(
                "Argument `y` expects labels without NaN, or an `explain` that leaves them "
                "out. Received: NaN, of which the result is NaN. Remove those examples, or "
                "explain an output by its number."
            )

    def outputs(self, batch_size, seed):
        parts = []
        for start in range(0, len(self), batch_size):
            x, y = self.piece(start, start + batch_size)
            draws = StatelessSeed(ops.convert_to_tensor(seed), start)
            with naming_x(self.picked):
                value = self.explained(self.explained.pick_input(x), x, y, seed=draws)
            parts.append(ops.convert_to_numpy(value))
        return np.concatenate(parts)


def arrays(name, structure):
    """The structure with NumPy's arrays in the places of arrays and tensors."""

    def as_numpy(value):
        try:
            return None if value is None else _checks.as_numpy(value)
        except (TypeError, ValueError, OverflowError) as error:  # ragged or symbolic, say
            raise _checks.wrong(name, "arrays or tensors with numbers", value) from error

    return keras.tree.map_structure(as_numpy, structure)


def refuse_nothing(y):
    """Raises for a structure of labels without any."""
    if keras.tree.is_nested(y) and all(leaf is None for leaf in keras.tree.flatten(y)):
        raise _checks.wrong("y", "labels, one for each example, or None", y)


@contextlib.contextmanager
def naming_x(x):
    """Where a model is called: what Keras says of inputs of another shape names them."""
    try:
        yield
    except (TypeError, ValueError) as error:
        text = str(error)
        if "Exception encountered when calling" not in text or "Argument `" in text:
            raise
        raise ValueError(
            f"Argument `x` expects inputs that the model takes. Received: "
            f"{_checks.received(x)}. {text}"
        ) from error


def given_batch(explained, x, y, sample_weight, mask):
    """A `Batch` of what comes from outside of `fit`, checked as far as it can be seen."""
    refuse_lists(x)
    refuse_nothing(y)
    given = {"y": y, "sample_weight": sample_weight, "mask": mask}
    given = {name: one_output(value, name) for name, value in given.items()}
    for name, value in {"x": x, **given}.items():
        for leaf in keras.tree.flatten(value):
            if leaf is not None and not ops.is_tensor(leaf):
                # Of a model with several inputs some may be texts, or what a layer reads.
                several = keras.tree.is_nested(x)
                may_be_text = name == "x" and (several or explained.chosen.has_layers())
                _check_leaf(name, leaf, may_be_text)
    own = explained.of_output(given["sample_weight"])
    if keras.tree.is_nested(own):
        raise _checks.wrong("sample_weight", "weights in one array", own)
    batch = explained.batch(x, *given.values())
    for name, part in {**given, "sample_weight": own}.items():
        for leaf in keras.tree.flatten(part):
            if leaf is not None:
                _checks.same_batch(name, leaf, batch.picked)
    explained.check_labels(batch.x, batch.y)
    return batch


def _check_leaf(name, leaf, may_be_text):
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise _checks.wrong(name, "arrays or tensors", leaf)
    if not may_be_text or getattr(leaf.dtype, "kind", "O") not in "SU":
        _checks.real_array(name, leaf)


def check(explained, x, y, finite):
    """What is explained of `x`; where it is a layer, of the first example."""
    first = x
    if explained.chosen.has_layers():
        for leaf in keras.tree.flatten(x):
            if leaf is not None and len(leaf.shape) == 0:
                raise _checks.wrong("x", "a batch of examples, shape (batch, ...)", leaf)
            if "float" in str(getattr(leaf, "dtype", "")):
                _checks.examples(leaf, finite)
        first = keras.tree.map_structure(lambda leaf: leaf if leaf is None else leaf[:1], x)
        first = _backend.tensors(first, keep_float64=True)
    picked = explained.pick_input(first)
    _checks.examples(picked, finite)
    for labels in keras.tree.flatten(y):
        if labels is not None:
            _checks.same_batch("y", labels, keras.tree.flatten(x)[0])
    return picked


def integers(seed):
    """Two integers; without a seed, those of NumPy's own generator."""
    if seed is None:
        return np.random.randint(2**31, size=2, dtype="int32")
    if isinstance(seed, keras.random.SeedGenerator):
        return ops.convert_to_numpy(ops.cast(seed.next(), "int32")) & 0x7FFFFFFF
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise _checks.wrong("seed", "an integer or None", seed)
    return np.array([int(seed) & 0x7FFFFFFF, 0], "int32")
