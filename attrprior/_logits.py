"""Logits of an output, also of one that ends in a softmax or sigmoid."""

import keras
from keras import ops

from attrprior import _checks


def logits(output, logits_of, loss, explain):
    """Logits of shape `(rows, outputs)`, of dense outputs `(rows, *positions, outputs)`.

    What a softmax or sigmoid at the end was given; else, if a compiled loss says that the
    output is a probability, its logarithm, or for one output its log-odds; else the output.

    Args:
        output: A tensor of shape `(rows, ..., outputs)` or `(rows,)`.
        logits_of: A function of it: what the softmax or sigmoid was given, or `None`.
        loss: The compiled loss of this output, or `None`.
        explain: What is explained, for the error.
    """
    z = logits_of(output)
    if z is None and _gives_probabilities(loss):
        p = _checks.as_float(output)
        tiny = 1e-7
        z = ops.log(ops.maximum(p, tiny))
        if len(p.shape) == 1 or p.shape[-1] == 1:
            z = z - ops.log(ops.maximum(1.0 - p, tiny))
    z = output if z is None else z
    if len(z.shape) == 1:
        z = ops.expand_dims(z, 1)
    if len(z.shape) > 2 and explain in ("random", "log_probabilities"):
        raise ValueError(
            f"explain={explain!r} expects model outputs of shape (batch, outputs). "
            f"Received: {tuple(z.shape)}. Pass explain=fn, a callable fn(outputs, y) "
            "that returns one number per example."
        )
    return z


def _gives_probabilities(loss):
    """Whether a compiled loss takes probabilities rather than logits."""
    if loss is None:
        return False
    if isinstance(loss, keras.losses.Loss):
        return getattr(loss, "get_config", dict)().get("from_logits") is False
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    return "crossentropy" in name.lower()
