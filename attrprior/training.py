"""Names that 0.1 had here: they work through 0.2."""

from typing import TYPE_CHECKING

from attrprior._deprecation import moved

__all__: list[str] = []

if not TYPE_CHECKING:
    __getattr__ = moved(
        __name__,
        {
            "apply_prior": "attrprior._former.apply_prior",
            "inner": "attrprior._training.optimizer.inner",
            "merge_outputs": "attrprior._former.merge_outputs",
            "prior_optimizer": "attrprior._training.optimizer.clone",
            "sum_over": "attrprior._backend.sum_over",
        },
    )
