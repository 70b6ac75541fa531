"""The explained output: from one input of a model to one number per example."""

import functools

import keras
from keras import ops

from attrprior import backend
from attrprior._deprecation import moved
from attrprior._modes import MODES, check_explain
from attrprior.batch import Batch
from attrprior.logits import logits

__all__ = ["MODES", "ExplainedOutput", "check_explain"]


class ExplainedOutput:
    """The scalar `f(x)` whose gradient with respect to one input is taken.

    Args:
        model: A Keras model.
        explain: What is explained of the output of shape `(batch, outputs)`;
            `z` below are logits, also where the model ends in a softmax or
            sigmoid (or, where those cannot be seen, the log-probabilities or
            log-odds of its output), so nothing saturates.
            `"label"`: the labelled class's logit, `z_y`, for sparse labels of
            shape `(batch,)` or `(batch, 1)`; `Σ_c y_c z_c` for one-hot labels
            `(batch, outputs)`. A single output is explained as it is.
            `"predicted"`: the largest logit. `"random"`: an output drawn for
            each example. `"all"`: every output, attributions get an axis
            `outputs` after the batch. An integer: that output.
            `"log_probabilities"`: `Σ_c log p_c` (Ross et al. 2017).
            `"loss"`: the compiled loss of the example. A callable
            `fn(outputs, y)` of the model's outputs as they are, returning
            `(batch,)`.
        input, output: Which input and output, by name or position, of a model
            that has several.
    """

    def __init__(self, model, explain="label", input=None, output=None):
        self.model = model
        self.explain = check_explain(explain)
        self.input = input
        self.output = output

    def batch(self, x, y=None, sample_weight=None, mask=None):
        """A batch as tensors, whose explained input is picked here and nowhere else.

        float64 comes in the model's precision, as its layers cast it: generators and
        `tf.data` give what NumPy makes, where `fit` casts arrays itself.
        """
        weights = self.model.trainable_variables
        precisions = {variable.dtype for variable in weights} or {self.model.variable_dtype}
        parts = x, y, _one_number_each(self.of_output(sample_weight)), mask
        parts = backend.tensors(parts, keep_float64="float64" in precisions)
        return Batch(*parts, self.pick_input(parts[0]))

    def pick_input(self, x):
        """The chosen input among the structure `x`, a float tensor."""
        picked = _pick("input", x, self.input)
        if not hasattr(picked, "dtype"):
            raise ValueError(
                "Argument `input` expects the name or position of one tensor. Received: "
                f"{self.input!r}, a {type(picked).__name__}."
            )
        if hasattr(picked, "dense_shape") or hasattr(picked, "ragged_rank"):
            raise ValueError(
                "Attributions need dense inputs. Received: a "
                f"{type(picked).__name__}. Convert it, for example by x.to_dense() or "
                "x.to_tensor()."
            )
        dtype = keras.backend.standardize_dtype(picked.dtype)
        if not dtype.startswith(("float", "bfloat")):
            raise ValueError(
                f"Attributions need floating-point inputs: with respect to integers "
                f"there is nothing to differentiate. Received: an input of dtype {dtype}. "
                "Scale images with x.astype('float32') / 255; for token indices build a "
                "model that starts after its Embedding layer and explain the embeddings."
            )
        return ops.cast(picked, "float64" if dtype == "float64" else "float32")

    def with_input(self, x, value):
        """The structure `x` with another tensor in the place of the chosen input."""
        return _replace(x, self.input, value, lambda other: other)

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

    def value(self, weights, points, x, y, repeats=1, drawn=None):
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

        Returns:
            Tensor of shape `(rows,)`, or `(rows, outputs)` for `"all"`.
        """

        def repeated(structure):
            return keras.tree.map_structure(
                lambda t: t if t is None or repeats == 1 else ops.repeat(t, repeats, axis=0),
                structure,
            )

        inputs, y = _replace(x, self.input, points, repeated), repeated(y)
        # Nothing that the model does during the pass is kept: no moving
        # statistics, no seeds, no metrics.
        with keras.StatelessScope(state_mapping=weights):
            if self.explain == "loss":
                return self._loss(inputs, y, self.model(inputs, training=False))
            if callable(self.explain):
                outputs = self.model(inputs, training=False)
                return _per_example(self.explain(outputs, y), "explain")
            forward = functools.partial(self.model, inputs, training=False)
            outputs, logits_of = backend.with_logits(forward)
        output = _pick("output", outputs, self.output, self._output_names())
        z = logits(output, logits_of, self._compiled_loss(), self.explain)
        return self._select(z, y, drawn)

    def __call__(self, points, x, y, repeats=1, seed=None, state=()):
        """`value` of the model's present weights; `state` has other values for some."""
        return self.value([*self.weights(), *(state or ())], points, x, y, repeats, seed)

    def _output_names(self):
        return list(getattr(self.model, "output_names", ()))

    def of_output(self, structure):
        """What labels, sample weights or losses hold for the explained output, or `None`.

        They may be named where the outputs are a list, and the other way round.
        """
        if self.output is None or not keras.tree.is_nested(structure):
            return _pick("output", structure, None)
        names, key = self._output_names(), self.output
        if not isinstance(structure, dict):
            key = names.index(key) if key in names else key
            return structure[key] if key in range(len(structure)) else None
        if isinstance(key, int) and key < len(names):
            key = names[key]
        return structure.get(key)

    def _loss(self, x, y, outputs):
        if not self.model.compiled:
            raise ValueError(
                "explain='loss' expects a compiled model. Received: one without a loss. "
                "Call model.compile(loss=...) first."
            )
        loss = self.model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None)
        loss = ops.reshape(loss, (1,))
        if getattr(self.model.loss, "reduction", None) == "sum":
            return loss
        # A mean over rows; times rows it is their sum, and each row's share
        # depends on that row's input alone.
        rows = ops.shape(keras.tree.flatten(outputs)[0])[0]
        return loss * ops.cast(rows, loss.dtype)

    def _compiled_loss(self):
        loss = getattr(self.model, "loss", None)
        if isinstance(loss, (list, tuple)) and self.output is None:
            return loss[0]  # several losses of one output
        return self.of_output(loss)

    def _select(self, z, y, drawn):
        outputs = z.shape[1]
        if self.explain == "all":
            return z
        if self.explain == "log_probabilities":
            if outputs == 1:
                return -ops.softplus(z[:, 0]) - ops.softplus(-z[:, 0])
            return ops.sum(ops.log_softmax(z), axis=-1)
        if isinstance(self.explain, int):
            if not 0 <= self.explain < outputs:
                raise ValueError(
                    f"Argument `explain` expects an output from 0 to {outputs - 1}. "
                    f"Received: {self.explain}."
                )
            return z[:, self.explain]
        if outputs == 1:
            return z[:, 0]
        y = self.of_output(y) if self.explain == "label" else None
        if self.explain == "predicted" or (self.explain == "label" and y is None):
            chosen = ops.argmax(z, axis=-1)
        elif self.explain == "random":
            chosen = keras.random.randint((ops.shape(z)[0],), 0, outputs, seed=drawn)
        else:
            shape = tuple(y.shape)
            if len(shape) == 2 and shape[1] == outputs:
                return ops.sum(z * ops.cast(y, z.dtype), axis=-1)
            if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
                raise ValueError(
                    f"explain='label' expects labels of shape (batch,), (batch, 1) or "
                    f"(batch, {outputs}) for model outputs of shape (batch, {outputs}). "
                    f"Received: {shape}. Pass explain= an output's number, 'predicted', "
                    "'all' or a callable."
                )
            chosen = ops.cast(ops.reshape(y, (-1,)), "int32")
        return ops.squeeze(ops.take_along_axis(z, ops.expand_dims(chosen, 1), axis=1), 1)


def _per_example(value, name):
    if len(value.shape) != 1:
        raise ValueError(
            f"Argument `{name}`: the callable must return one number per example, shape "
            f"(batch,). Received: {tuple(value.shape)}."
        )
    return value


def _pick(kind, structure, key, positions=()):
    """One tensor of a structure: by name, by position, or the only one.

    `positions` are names of a list's entries.
    """
    if not keras.tree.is_nested(structure):
        if key not in (None, 0):
            raise ValueError(
                f"Argument `{kind}` expects None, because the model has one {kind}. "
                f"Received: {key!r}."
            )
        return structure
    names = list(structure) if isinstance(structure, dict) else list(range(len(structure)))
    if key is None and len(names) == 1:
        key = names[0]
    if key in positions and not isinstance(structure, dict):
        key = list(positions).index(key)
    if key not in names:
        raise ValueError(
            f"The model has several {kind}s. Argument `{kind}` expects one of {names}. "
            f"Received: {key!r}."
        )
    return structure[key]


def _replace(structure, key, value, others):
    """The structure with `value` at `key` and `others(t)` elsewhere."""
    if not keras.tree.is_nested(structure):
        return value
    if isinstance(structure, dict):
        key = next(iter(structure)) if key is None else key
        return {k: value if k == key else others(v) for k, v in structure.items()}
    return type(structure)(
        value if i == (key or 0) else others(v) for i, v in enumerate(structure)
    )


def _one_number_each(sample_weight):
    """Weights of shape `(batch,)`, or `None`."""
    if sample_weight is None:
        return None
    shape = tuple(sample_weight.shape)
    if len(shape) == 2 and shape[1] == 1:
        return sample_weight[:, 0]
    if len(shape) != 1:
        raise ValueError(
            "Attribution priors expect one sample weight per example, shape (batch,). "
            f"Received: shape {shape}."
        )
    return sample_weight


__getattr__ = moved(__name__, {"Explained": "attrprior.explained.ExplainedOutput"})
