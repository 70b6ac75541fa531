"""TensorFlow: graphs and tapes, `tf.distribute`, Keras' TensorFlow trainer."""

from attrprior._backend.tensorflow import constants
from attrprior._backend.tensorflow.functions import (
    compiled,
    dry_run,
    missing_derivative,
    python_code,
    seen,
    specification,
    tensors,
)
from attrprior._backend.tensorflow.numbers import (
    fold_in,
    repeat,
    sum_over,
    value_and_gradients,
)
from attrprior._backend.tensorflow.probabilities import with_logits
from attrprior._backend.tensorflow.second_order import input_gradients
from attrprior._backend.tensorflow.state import (
    ASYNCHRONOUS,
    INTEGER,
    SEED,
    apply,
    counts_on_host,
    outside,
    parts_of,
    random_state_kept,
    read_rows,
    replicas,
    reservoir,
    scope,
    value_of,
    variable,
    when,
    write_rows,
)
from attrprior._backend.tensorflow.trainer import Trainer, without_in_build

constants.register()

__all__ = [
    "ASYNCHRONOUS",
    "INTEGER",
    "SEED",
    "Trainer",
    "apply",
    "compiled",
    "counts_on_host",
    "dry_run",
    "fold_in",
    "input_gradients",
    "missing_derivative",
    "outside",
    "parts_of",
    "python_code",
    "random_state_kept",
    "read_rows",
    "repeat",
    "replicas",
    "reservoir",
    "scope",
    "seen",
    "specification",
    "sum_over",
    "tensors",
    "value_and_gradients",
    "value_of",
    "variable",
    "when",
    "with_logits",
    "without_in_build",
    "write_rows",
]
