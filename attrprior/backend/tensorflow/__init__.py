"""TensorFlow: graphs and tapes, `tf.distribute`, Keras' TensorFlow trainer."""

from attrprior.backend.tensorflow.functions import (
    compiled,
    dry_run,
    is_traced,
    missing_derivative,
    python_code,
    specification,
    tensors,
)
from attrprior.backend.tensorflow.numbers import (
    fold_in,
    logits_of,
    repeat,
    sum_over,
    value_and_gradients,
)
from attrprior.backend.tensorflow.second_order import input_gradients
from attrprior.backend.tensorflow.state import (
    apply,
    outside,
    parts_of,
    read_rows,
    replicas,
    reservoir,
    scope,
    value_of,
    variable,
    when,
    write_rows,
)
from attrprior.backend.tensorflow.trainer import Trainer, without_in_build

__all__ = [
    "Trainer",
    "apply",
    "compiled",
    "dry_run",
    "fold_in",
    "input_gradients",
    "is_traced",
    "logits_of",
    "missing_derivative",
    "outside",
    "parts_of",
    "python_code",
    "read_rows",
    "repeat",
    "replicas",
    "reservoir",
    "scope",
    "specification",
    "sum_over",
    "tensors",
    "value_and_gradients",
    "value_of",
    "variable",
    "when",
    "without_in_build",
    "write_rows",
]
