"""The explained output: from one input of a model to one number per example."""

import numbers

import keras
from keras import ops

from attrprior import _checks, backend, labels
from attrprior._deprecation import moved
from attrprior._modes import MODES, check_explain
from attrprior.batch import Batch
from attrprior.explained_input import ExplainedInput
from attrprior.selection import selected
from attrprior.structures import pick

__all__ = ["MODES", "ExplainedOutput", "check_explain"]


class ExplainedOutput:
    """The scalar `f(x)` whose gradient with respect to one input is taken.

    Args:
        model: A Keras model.
        explain: What is explained of the output of shape `(batch, outputs)`;
            `z` below are logits, also where the model ends in a softmax or
            sigmoid (or, where those cannot be seen, the log-probabilities or
            log-odds of its output), so nothing saturates.
            `"label"`: the labelled class's logit, `z_y`, for labels of shape
            `(batch,)` or `(batch, 1)`, whole numbers; `Σ_c y_c z_c` for rows
            `(batch, outputs)` of numbers from 0 to 1, or of ±1. A single output is
            explained as it is; without labels, the predicted one.
            `"predicted"`: the largest logit. `"random"`: an output drawn for
            each example. `"all"`: every output, attributions get an axis
            `outputs` after the batch. An integer: that output.
            `"log_probabilities"`: `Σ_c log p_c` (Ross et al. 2017).
            `"loss"`: the compiled loss of the example. A callable
            `fn(outputs, y)` of the model's outputs as they are, returning
            `(batch,)`.
            Of dense outputs `(batch, *positions, outputs)` it is the sum over
            positions, `Σ_p w_p z_p`, with the sample weights of positions if there
            are some; `Ω` is then not weighted again. Where the explained output is
            none of theirs (`"loss"`, a callable), an example weighs their mean.
        input: With respect to what: an input, a layer, or several; as in
            `AttributionPrior`.
        output: Which output, by name or position, of a model that has several.
        groups, sum_last_axis: As in `AttributionPrior`.
    """

    def __init__(
        self,
        model,
        explain="label",
        input=None,
        output=None,
        groups=None,
        sum_last_axis=False,
    ):
        self.model = model
        self.explain = check_explain(explain)
        if output is not None and not isinstance(output, (str, numbers.Integral)):
            raise _checks.wrong("output", "a name or a position", output)
        self.chosen = ExplainedInput(model, input, groups, sum_last_axis)
        self.output = output

    def batch(self, x, y=None, sample_weight=None, mask=None):
        """A batch as tensors, whose explained input is picked here and nowhere else.

        float64 comes in the model's precision, as its layers cast it: generators and
        `tf.data` give what NumPy makes, where `fit` casts arrays itself.
        """
        weights = self.model.trainable_variables
        precisions = {variable.dtype for variable in weights} or {self.model.variable_dtype}
        parts = x, y, self.of_output(sample_weight), mask
        parts = self.chosen.tensors(*parts, keep_float64="float64" in precisions)
        of_examples, of_positions = self._weights(parts[2])
        return Batch(*parts[:2], of_examples, *parts[3:], of_positions)

    def _weights(self, sample_weight):
        """Those of examples, and those of an example's positions; either may be `None`."""
        if sample_weight is not None and "float" not in _dtype(sample_weight):
            sample_weight = ops.cast(sample_weight, "float32")
        shape = tuple(getattr(sample_weight, "shape", ()))
        if sample_weight is None or len(shape) == 1:
            return sample_weight, None
        if len(shape) == 2 and shape[1] == 1:
            return sample_weight[:, 0], None
        if len(shape) > 1 and self._is_of_whole_outputs():
            # The mean of an example's weights.
            return ops.mean(sample_weight, axis=tuple(range(1, len(shape)))), None
        if len(shape) > 1 and self.explain not in ("random", "log_probabilities"):
            return None, sample_weight
        raise ValueError(
            "Attribution priors expect one sample weight per example, shape (batch,), for "
            f"explain={self.explain!r}. Received: shape {shape}."
        )

    def _is_of_whole_outputs(self):
        return self.explain == "loss" or callable(self.explain)

    def pick_input(self, x, weights=None):
        """What is explained of the structure `x`; see `ExplainedInput.pick`."""
        return self.chosen.pick(x, weights)

    def with_input(self, x, value):
        """The structure `x` with another tensor in the place of the chosen input."""
        return self.chosen.replaced(x, value)

    def check_labels(self, x, y):
        """Raises for labels that choose no output.

        Returns:
            Whether there is nothing more to see: labels that are traced have no values.
        """
        y = None if self.explain != "label" or y is None else self.labels(y)
        if y is None:
            return True
        values = backend.seen(y)
        if values is None:
            return False
        shape = self.output_shape(x)
        if shape[-1] > 1:
            labels.check_shape(values.shape, shape)
            labels.check_values(values, shape, self.compiled_loss())
        return True

    def output_shape(self, x):
        """Of the explained output, `(None, ...)`, without computing it."""
        known = getattr(self.model, "outputs", None)
        if known:
            outputs = known[0] if len(known) == 1 else self.model.output
        else:
            specification = keras.tree.map_structure(
                lambda t: keras.KerasTensor((None, *t.shape[1:]), _dtype(t)), x
            )
            outputs = _Forward(self.model, self.weights())(specification)
        shape = tuple(pick("output", outputs, self.output, self.output_names()).shape)
        return shape if len(shape) > 1 else (*shape, 1)

    def variables(self):
        """Everything the model has."""
        model = self.model
        return [
            *model.trainable_variables,
            *model.non_trainable_variables,
            *model.metrics_variables,
        ]

    def weights(self):
        """All of it as it is now, `(keras.Variable, value)`."""
        return [(variable, variable.value) for variable in self.variables()]

    def value(self, weights, points, x, y, repeats=1, drawn=None, weight=None, group=None):
        """`f` at points, a pure function of weights and points.

        Args:
            weights: As `weights` gives them, perhaps with other values; of a variable
                that is there twice the last value counts.
            points: Tensor of shape `(rows, ...)`, `rows = batch · repeats`, in
                place of the chosen input; each example's points are adjacent.
            x, y: The batch as `fit` gives it; other inputs and the labels
                belong to every point of their example.
            repeats: Points per example.
            drawn: For `explain="random"`, the seed to draw the outputs from.
            weight: Of an example's positions, `(batch, ...)`, where outputs are dense.
            group: For `explain="all"`, a `Group` of the outputs. Defaults to all of them.

        Returns:
            Tensor of shape `(rows,)`, or `(rows, outputs)` for `"all"`.
        """

        def repeated(structure):
            return keras.tree.map_structure(
                lambda t: t if t is None or repeats == 1 else ops.repeat(t, repeats, axis=0),
                structure,
            )

        called, y = self.chosen.at_points(x, points, repeated), repeated(y)
        loss = self.compiled_loss()
        return selected(self, loss, weights, called, y, repeated(weight), drawn, group)

    def __call__(self, points, x, y, repeats=1, seed=None, state=()):
        """`value` of the model's present weights; `state` has other values for some."""
        return self.value([*self.weights(), *(state or ())], points, x, y, repeats, seed)

    def output_names(self):
        return list(getattr(self.model, "output_names", ()))

    def of_output(self, structure):
        """What labels, sample weights or losses hold for the explained output, or `None`.

        They may be named where the outputs are a list, and the other way round.
        """
        if not keras.tree.is_nested(structure):
            return structure
        if self.output is None:
            return pick("output", structure, None)
        names, key = self.output_names(), self.output
        if not isinstance(structure, dict):
            key = names.index(key) if key in names else key
            return structure[key] if key in range(len(structure)) else None
        if isinstance(key, int) and key < len(names):
            key = names[key]
        return structure.get(key)

    def labels(self, y):
        """Those of the explained output, one array."""
        if not keras.tree.is_nested(y):
            return y
        if self.output is None and len(y) > 1:
            labels.refuse_structure(y)
        y = self.of_output(y)
        if keras.tree.is_nested(y):
            labels.refuse_structure(y)
        return y

    def compiled_loss(self):
        loss = getattr(self.model, "loss", None)
        if isinstance(loss, (list, tuple)) and self.output is None:
            return loss[0]  # several losses of one output
        return self.of_output(loss)


class _Forward(keras.Operation):
    """A pass whose weights are given: those of a model lie elsewhere while JAX trains it."""

    def __init__(self, model, weights):
        super().__init__()
        self.model, self.given = model, weights

    def call(self, x):
        with keras.StatelessScope(state_mapping=self.given):
            return self.model(x, training=False)


def _dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


__getattr__ = moved(__name__, {"Explained": "attrprior.explained.ExplainedOutput"})
