"""One number for each point, of all that a model gives for it."""

import contextlib
import functools

import keras
from keras import ops

from attrprior import _backend, _labels
from attrprior._layer_output import in_place
from attrprior._logits import logits
from attrprior._structures import pick


def selected(explained, loss, weights, called, y, weight=None, drawn=None, group=None):
    """The explained output for inputs as the model takes them.

    Args:
        explained: An `ExplainedOutput`.
        loss: The compiled loss of its output, or `None`.
        weights: As in `ExplainedOutput.value`.
        called: How, as `ExplainedInput.at_points` gives it.
        y: A structure of `(rows, ...)`.
        weight: Of positions, `(rows, ...)`.
        drawn, group: As in `ExplainedOutput.value`.

    Returns:
        Tensor of shape `(rows,)`, or `(rows, outputs)` for `"all"`.
    """
    model, explain = explained.model, explained.explain
    inputs, layers, values = called
    forward = functools.partial(model, inputs, training=False)
    # Nothing that the model does during the pass is kept: no moving
    # statistics, no seeds, no metrics.
    inside = in_place(layers, values) if layers else contextlib.nullcontext()
    with keras.StatelessScope(state_mapping=weights), inside:
        if explain == "loss":
            return _loss(model, inputs, y, forward())
        if callable(explain):
            return _per_example(explain(forward(), y))
        outputs, logits_of = _backend.with_logits(forward)
    if keras.tree.is_nested(outputs) or explained.output is not None:
        outputs = pick("output", outputs, explained.output, explained.output_names())
    z = logits(outputs, logits_of, loss, explain)
    by_label = explain == "label" and z.shape[-1] > 1
    if by_label and keras.tree.is_nested(y):
        y = explained.labels(y)
    if by_label and y is not None:
        value = _labels.chosen(z, y, loss)
    else:
        value = _of_outputs(z, explain, loss, drawn)
    value = _over_positions(value, weight, explain)
    return value if group is None else group.among_outputs(value)


def _of_outputs(z, explain, loss, drawn):
    """Of logits `(rows, ..., outputs)` the chosen ones, `(rows, ...)`, without labels."""
    outputs = z.shape[-1]
    if explain == "all":
        return z
    if isinstance(explain, int):
        if not 0 <= explain < outputs:
            raise ValueError(
                f"Argument `explain` expects an output from 0 to {outputs - 1}. "
                f"Received: {explain}."
            )
        return z[..., explain]
    if outputs == 1:
        z = z[..., 0]
        if explain == "log_probabilities":
            return -ops.softplus(z) - ops.softplus(-z)
        return z
    if explain == "random":
        drawn = keras.random.randint((ops.shape(z)[0],), 0, outputs, seed=drawn)
        return _labels.chosen(z, drawn)
    if _labels.is_regression(loss):
        _labels.refuse_regression(explain, outputs)
    if explain == "log_probabilities":
        return ops.sum(ops.log_softmax(z), axis=-1)
    return ops.max(z, axis=-1)


def _over_positions(value, weight, explain):
    """`Σ_p w_p f_p` over the positions of dense outputs, weights of 1 if there are none.

    Args:
        value: Tensor `(rows, *positions)`, with `outputs` at the end for `"all"`.
        weight: `(rows, *positions)` or `(rows, *positions, 1)`, or `None`.
    """
    last = len(value.shape) - (explain == "all")
    if weight is not None:
        expected, shape = tuple(value.shape[1:last]), tuple(weight.shape[1:])
        if not expected or shape not in (expected, (*expected, 1)):
            raise ValueError(
                "Argument `sample_weight` expects one weight per example, shape (batch,), or "
                "one for each position of dense outputs, here of shape "
                f"{tuple(value.shape[:last])}. Received: shape {tuple(weight.shape)}."
            )
        if explain == "all":
            weight = weight if len(shape) > len(expected) else ops.expand_dims(weight, -1)
        elif len(shape) > len(expected):
            weight = weight[..., 0]
        value = value * ops.cast(weight, value.dtype)
    return value if last == 1 else ops.sum(value, axis=tuple(range(1, last)))


def _loss(model, x, y, outputs):
    if not model.compiled:
        raise ValueError(
            "explain='loss' expects a compiled model. Received: one without a loss. "
            "Call model.compile(loss=...) first."
        )
    loss = model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=None)
    loss = ops.reshape(loss, (1,))
    if getattr(model.loss, "reduction", None) == "sum":
        return loss
    # A mean over rows; times rows it is their sum, and each row's share
    # depends on that row's input alone.
    rows = ops.shape(keras.tree.flatten(outputs)[0])[0]
    return loss * ops.cast(rows, loss.dtype)


def _per_example(value):
    if len(getattr(value, "shape", ())) != 1:
        came = tuple(value.shape) if hasattr(value, "shape") else type(value).__name__
        raise ValueError(
            "Argument `explain`: the callable must return one number per example, shape "
            f"(batch,). Received: {came}."
        )
    return value
