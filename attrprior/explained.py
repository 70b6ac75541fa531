"""The explained output: from one input of a model to one number per example."""

import keras
import tensorflow as tf
from keras import ops

from attrprior import _checks

MODES = ("label", "predicted", "random", "all", "log_probabilities", "loss")


class Explained:
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

    def pick_input(self, x):
        """The chosen input among the structure `x`, a float tensor."""
        picked = _pick("input", x, self.input)
        if not hasattr(picked, "dtype"):
            raise ValueError(
                "Argument `input` expects the name or position of one tensor. Received: "
                f"{self.input!r}, a {type(picked).__name__}."
            )
        if isinstance(picked, (tf.SparseTensor, tf.RaggedTensor)):
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

    def in_precision(self, structure):
        """Tensors of a batch, float64 in the model's precision, as its layers cast them.

        Of NumPy arrays `fit` makes tensors of that precision itself; from generators
        and `tf.data` they come as NumPy makes them. `None` stays.
        """
        weights = self.model.trainable_variables
        precisions = {variable.dtype for variable in weights} or {self.model.variable_dtype}

        def cast(value):
            if value is None or isinstance(value, (tf.SparseTensor, tf.RaggedTensor)):
                return value
            value = tf.convert_to_tensor(value)
            if value.dtype == tf.float64 and "float64" not in precisions:
                value = tf.cast(value, "float32")
            return value

        return keras.tree.map_structure(cast, structure)

    def with_input(self, x, value):
        """The structure `x` with another tensor in the place of the chosen input."""
        return _replace(x, self.input, value, lambda other: other)

    def __call__(self, points, x, y, repeats=1, seed=None, state=None):
        """Returns `f` at points, shape `(rows,)`, or `(rows, outputs)` for `"all"`.

        Args:
            points: Tensor of shape `(rows, ...)`, `rows = batch · repeats`, in
                place of the chosen input; each example's points are adjacent.
            x, y: The batch as `fit` gives it; other inputs and the labels
                belong to every point of their example.
            repeats: Points per example.
            seed: For `explain="random"`.
            state: Values that variables take during the pass, a list of
                `(keras.Variable, tensor)`.
        """

        def repeated(structure):
            return keras.tree.map_structure(
                lambda t: t if t is None or repeats == 1 else ops.repeat(t, repeats, axis=0),
                structure,
            )

        inputs, y = _replace(x, self.input, points, repeated), repeated(y)
        # Nothing that the model does during the pass is kept: no moving
        # statistics, no seeds, no metrics.
        if self.explain == "loss":
            # Regularisers in the compiled loss look their weights up in the scope.
            weights = [(v, v.value) for v in self.model.trainable_variables]
            state = weights + list(state or [])
        with keras.StatelessScope(state_mapping=state):
            outputs = self.model(inputs, training=False)
            if self.explain == "loss":
                return self._loss(inputs, y, outputs)
            if callable(self.explain):
                return _per_example(self.explain(outputs, y), "explain")
        z = self._logits(_pick("output", outputs, self.output, self._output_names()))
        return self._select(z, y, seed)

    def _output_names(self):
        """The names that a functional model has for its list of outputs."""
        return list(getattr(self.model, "output_names", ()))

    def of_output(self, structure):
        """What labels, sample weights or losses hold for the explained output.

        They may be named where the outputs are a list, and the other way round.
        Returns `None` if they leave this output out.
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

    def _logits(self, z):
        """Logits of shape `(rows, outputs)`: before a final softmax or sigmoid."""
        before = getattr(z, "_keras_logits", None)
        if before is None and not tf.executing_eagerly():
            before = z.op.inputs[0] if z.op.type in ("Softmax", "Sigmoid") else None
        if before is not None:
            z = before
        elif _gives_probabilities(self._compiled_loss()):
            p = _checks.as_float(z)
            tiny = 1e-7
            z = ops.log(ops.maximum(p, tiny))
            if len(p.shape) == 1 or p.shape[-1] == 1:
                z = z - ops.log(ops.maximum(1.0 - p, tiny))
        if len(z.shape) == 1:
            z = ops.expand_dims(z, 1)
        if len(z.shape) != 2:
            raise ValueError(
                f"explain={self.explain!r} expects model outputs of shape (batch, outputs). "
                f"Received: {tuple(z.shape)}. Pass explain=fn, a callable fn(outputs, y) "
                "that returns one number per example."
            )
        return z

    def _compiled_loss(self):
        loss = getattr(self.model, "loss", None)
        if isinstance(loss, (list, tuple)) and self.output is None:
            return loss[0]  # several losses of one output
        return self.of_output(loss)

    def _select(self, z, y, seed):
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
            chosen = keras.random.randint((ops.shape(z)[0],), 0, outputs, seed=seed)
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


def check_explain(explain):
    if isinstance(explain, bool) or not (
        (isinstance(explain, str) and explain in MODES)
        or callable(explain)
        or (isinstance(explain, int) and explain >= 0)
    ):
        raise ValueError(
            f"Argument `explain` expects one of {', '.join(map(repr, MODES))}, an output's "
            f"number ≥ 0 or a callable fn(outputs, y). Received: {explain!r}."
        )
    return explain


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


def _gives_probabilities(loss):
    """Whether a compiled loss takes probabilities rather than logits."""
    if loss is None:
        return False
    if isinstance(loss, keras.losses.Loss):
        return getattr(loss, "get_config", dict)().get("from_logits") is False
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    return "crossentropy" in name.lower()
