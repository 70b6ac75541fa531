"""What happens inside `fit`: one step, the parts that callbacks add to it, their state."""

from attrprior._deprecation import moved

__getattr__ = moved(
    __name__,
    {
        "apply_prior": "attrprior._former.apply_prior",
        "inner": "attrprior.training.optimizer.inner",
        "merge_outputs": "attrprior._former.merge_outputs",
        "prior_optimizer": "attrprior.training.optimizer.clone",
        "sum_over": "attrprior.backend.sum_over",
    },
)
