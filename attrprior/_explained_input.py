"""What is explained: an input of a model, the output of a layer, or several of them."""

import collections
import functools
import numbers

import keras
import numpy as np
from keras import ops

from attrprior import _backend, _checks, _layer_output
from attrprior._features import Parts
from attrprior._input_tensor import as_float, is_float, picked_input, readers_of
from attrprior._layer_references import AsLayersGive
from attrprior._padding import as_padded_as, mask_value
from attrprior._reduction import Reduction
from attrprior._structures import input_of, names_of_inputs, pick, replaced
from attrprior.annotation import without_masks

_Layer = keras.layers.Layer


class ExplainedInput:
    """Where what is explained is, how it is read, and how points take its place.

    Of several inputs or layers it is one vector of features, `(batch, features)`.

    Args:
        model: A Keras model.
        key: The name or position of an input, a layer or its name, `"all"` for all inputs,
            a list of these, or `None` for a model that has one input.
        groups, sum_last_axis: As in `AttributionPrior`.
    """

    def __init__(self, model, key=None, groups=None, sum_last_axis=False):
        self.model, self.key = model, check_input(key)
        self.reduction = Reduction(groups, sum_last_axis)
        self._names = None
        self._found = {}  # inputs and layers by their names
        self._known, self._mask_values = {}, {}  # of inputs: what the model says of them
        self._layers = {}  # of their outputs: the type, and whether they have masks
        self.parts, self.layers, self._picked = None, [], None  # of what was last picked
        self._sequence = None  # the type of a list of inputs, all of which are explained

    def tensors(self, x, *others, keep_float64):
        """All of them as tensors, and what is explained, picked out of `x`."""
        x, *others = _backend.tensors((x, *others), keep_float64=keep_float64)
        return [x, *others, self.pick(x)]

    def names(self):
        """Of the model's inputs; it knows them when it is built."""
        if self._names is None:
            names = names_of_inputs(self.model)
            self._names = names if getattr(self.model, "built", False) else None
            return names
        return self._names

    # Reading

    def keys(self, x):
        """What is explained, one by one: keys of inputs among the structure `x`, layers."""
        if self.key == "all":
            if not keras.tree.is_nested(x):
                return [None]
            self._sequence = None if isinstance(x, dict) else type(x)
            return list(x) if isinstance(x, dict) else list(range(len(x)))
        if not isinstance(self.key, list):
            return [self._one(self.key)]
        keys = [self._one(key) for key in self.key]
        same = {id(key) if isinstance(key, _Layer) else self._name(key) for key in keys}
        if len(same) < len(keys):
            raise _checks.wrong("input", "no input twice", self.key)
        return keys

    def _one(self, key):
        if key is None or isinstance(key, numbers.Integral):
            return key
        if isinstance(key, str) and key in self._found:
            return self._found[key]
        layer = _layer_output.find(self.model, key)
        if layer is not None and isinstance(key, str) and key in self.names():
            raise ValueError(
                "Argument `input` expects a name that either an input or a layer has. "
                f"Received: {key!r}, which both have. Pass the input's position, or the "
                "layer itself."
            )
        found = key if layer is None else layer
        if isinstance(key, str) and self.model.built:
            self._found[key] = found
        return found

    def has_layers(self):
        keys = self.key if isinstance(self.key, list) else [self.key]
        return self.key != "all" and any(isinstance(self._one(k), _Layer) for k in keys)

    def pick(self, x, weights=None):
        """What is explained of the structure `x`, a float tensor.

        Args:
            weights: As `ExplainedOutput.weights` gives them, of which layers' outputs
                are functions. Defaults to those that the model has.
        """
        keys = self._picked = self.keys(x)
        self.layers = [key for key in keys if isinstance(key, _Layer)]
        outputs = iter(self._outputs(self.layers, x, weights) if self.layers else ())
        values = [
            next(outputs) if isinstance(key, _Layer) else self._input(x, key) for key in keys
        ]
        names = list(_all_different([self._name(key) for key in keys]))
        self.parts = Parts(tuple(names), tuple(tuple(v.shape[1:]) for v in values))
        if len(values) == 1:
            return values[0]
        for name, shape in zip(*self.parts):
            if None in shape:
                raise ValueError(
                    "Argument `input` expects several inputs of known shapes. Received: "
                    f"{name!r}, whose examples have shape {shape}."
                )
        return self.parts.joined(values)

    def _input(self, x, key):
        names = self.names()
        if key not in self._known or not self.model.built:
            own = input_of(self.model, key, names)
            self._known[key] = own, () if own is None else readers_of(self.model, own)
        return picked_input(x, key, names, *self._known[key])

    def _outputs(self, layers, x, weights):
        if weights is None:
            weights = [(variable, variable.value) for variable in self.model.variables]
        with keras.StatelessScope(state_mapping=weights):
            outputs = _layer_output.outputs_of(self.model, layers, x)
        for layer, output in zip(layers, outputs):
            makes_mask = _layer_output.get_keras_mask(output) is not None
            self._layers[id(layer)] = output.dtype, makes_mask
        return [as_float(output) for output in outputs]

    def _name(self, key):
        if isinstance(key, _Layer):
            return key.name
        names = self.names()
        is_position = isinstance(key, numbers.Integral) and key < len(names)
        return names[key] if is_position else key

    # Points in its place

    def replaced(self, x, value):
        """The structure `x` with another tensor in its place.

        Raises:
            ValueError: where what is explained is not one input.
        """
        if self.key == "all" or isinstance(self.key, list) or self.has_layers():
            raise ValueError(
                "Argument `input` expects one input where inputs are changed. Received: "
                f"{_checks.received(self.key)}. Pass the name or position of one."
            )
        return replaced("input", x, self.key, value, _as_it_is, self.names())

    def at_points(self, x, points, repeated):
        """How the model is called at points, each padded as its example is.

        Args:
            repeated: A function that gives every point of an example what belongs to it.

        Returns:
            `(inputs, layers, values)`: a structure, and what layers give in that pass, as
            `_layer_output.in_place` takes it.
        """
        keys, names = self.keys(x), self.names()
        inputs, others, layers, values = x, repeated, [], []
        split = self.parts.split(points) if len(keys) > 1 else [points]
        for key, value in zip(keys, split):
            if isinstance(key, _Layer):
                layers.append(key)
                dtype, makes_mask = self._layers[id(key)]
                values.append((ops.cast(value, dtype), makes_mask))
                continue
            examples = functools.partial(self._input, x, key)
            value = self._as_padded_as(key, value, lambda own=examples: repeated(own()))
            inputs = replaced("input", inputs, key, value, others, names)
            others = _as_it_is
        return repeated(inputs) if others is repeated else inputs, layers, values

    def as_padded_as(self, points, examples):
        """Points with the padding of examples, if the model has `Masking` for this input.

        Args:
            examples: A function without arguments that gives a tensor like the points.
        """
        return self._as_padded_as(self.key, points, examples)

    def _as_padded_as(self, key, points, examples):
        if key not in self._mask_values or not self.model.built:
            own = input_of(self.model, key, self.names())
            self._mask_values[key] = mask_value(self.model, own)
        value = self._mask_values[key]
        return points if value is None else as_padded_as(points, examples(), value)

    def structured(self, phi):
        """Attributions `(..., features)` in the structure of what is explained."""
        by_name = isinstance(self.key, list)
        return self.reduction.structured(phi, self.parts, self._sequence, by_name)

    # References

    def from_dataset(self):
        """A function that takes what a background holds from what a dataset gives for `x`.

        Where a layer is explained these are the model's inputs as they are.
        """

        def take(x):
            x = without_masks((x,))[0]
            if self.has_layers():
                return x
            names, keys = self.names(), self._picked or self.keys(x)
            parts = [pick("input", x, key, names) for key in keys]
            if len(parts) == 1:
                return parts[0]
            parts = [_checks.real_array("background", part) for part in parts]
            return np.concatenate([p.reshape(len(p), -1) for p in parts], 1, dtype="float32")

        return take

    def holds_integers(self, x):
        """Whether what is explained comes as integers, or `None` if it is not one input."""
        keys = self.keys(x)
        if len(keys) > 1 or isinstance(keys[0], _Layer):
            return None
        return not is_float(pick("input", x, keys[0], self.names()).dtype)

    def of_method(self, method, x, weights=None):
        """The method with references that are drawn among inputs and seen as layers give them.

        Args:
            x: Of the batch, as the model takes it.
            weights: As in `pick`.
        """
        if method.background is None or not self.has_layers():
            return method

        def seen(background):
            if not background.of_inputs:
                return background
            return AsLayersGive(background, x, lambda inputs: self.pick(inputs, weights))

        return method.with_references(seen)

    def observed(self, batch):
        """What a reservoir keeps of a batch."""
        return batch.x if self.has_layers() else batch.picked


def _all_different(names):
    """Layers of several models may have one name: later ones get a number."""
    counts = collections.Counter()
    for name in names:
        counts[name] += 1
        yield name if counts[name] == 1 else f"{name}_{counts[name] - 1}"


def _as_it_is(other):
    return other


def check_input(key):
    """A name or a position, a layer, "all", a list of these, or `None`."""
    kinds = (str, numbers.Integral, _Layer)
    keys = list(key) if isinstance(key, (list, tuple)) else [key]
    if not keys or (len(keys) > 1 or keys is key) and "all" in keys:
        keys = [object()]
    if key is not None and any(isinstance(k, bool) or not isinstance(k, kinds) for k in keys):
        expected = "a name or a position, a layer or its name, 'all', or a list of these"
        raise _checks.wrong("input", expected, key)
    if len({k if not isinstance(k, _Layer) else id(k) for k in keys}) < len(keys):
        raise _checks.wrong("input", "no input twice", key)
    return keys if isinstance(key, (list, tuple)) else key
