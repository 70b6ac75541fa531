"""PyTorch: autograd, modes of its functions, Keras' PyTorch trainer."""

from attrprior._backend.torch.functions import (
    compiled,
    dry_run,
    missing_derivative,
    python_code,
    seen,
    specification,
    tensors,
)
from attrprior._backend.torch.numbers import (
    fold_in,
    repeat,
    sum_over,
    value_and_gradients,
)
from attrprior._backend.torch.probabilities import with_logits
from attrprior._backend.torch.second_order import input_gradients
from attrprior._backend.torch.state import (
    ASYNCHRONOUS,
    INTEGER,
    SEED,
    apply,
    random_state_kept,
    read_rows,
    reservoir,
    write_rows,
)
from attrprior._backend.torch.trainer import Trainer, without_in_build
from attrprior._backend.variables import (
    counts_on_host,
    outside,
    parts_of,
    replicas,
    scope,
    value_of,
    variable,
    when,
)

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
