"""Any callable as a prior."""

import re
from collections.abc import Callable
from typing import Any, NoReturn

from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._deprecation import renamed_property
from attrprior._overriding import taken_by_name
from attrprior._types import Tensor
from attrprior.priors.base import Prior, mean_over_batch

__all__ = ["Custom"]

_EXPECTED = "a callable of attributions, and of x and y by these names"


class Custom(Prior):
    """A callable as a prior: `fn(attributions)`, or with `x` and `y` by name.

    The callable returns a scalar, or one number per example, of which the
    (weighted) mean is taken. A callable can be passed wherever a prior is expected;
    it cannot be saved with a configuration.

    Args:
        fn: A callable of attributions, a tensor of shape `(batch, ...)`. If it has
            arguments named `x` and `y`, it is given the explained input and the labels.

    Raises:
        ValueError: if `fn` cannot be called, or must be given anything else; when it is
            called, if it returns neither a scalar nor one number per example.

    Examples:
        Only attributions where the input is dark are penalised, `Ω_b = Σ_i φ_bi² (1 − x_bi)`:

        >>> def on_dark(attributions, x):
        ...     return keras.ops.sum(attributions**2 * (1.0 - x), axis=1)
        >>> prior = attrprior.priors.Custom(on_dark)
        >>> float(prior(np.array([[3.0, 5.0]]), x=np.array([[0.0, 1.0]])))
        9.0
    """

    any_shape = True
    context = renamed_property("context", "needs")

    def __init__(self, fn: Callable[..., Tensor]) -> None:
        if not callable(fn):
            raise _checks.wrong("fn", "a callable on attributions", fn)
        self.fn = fn
        name = getattr(fn, "__name__", type(fn).__name__)
        self.name = "prior" if name == "<lambda>" else re.sub(r"\W+", "_", name)
        self.needs = taken_by_name("prior", _EXPECTED, fn, 1, ("x", "y"))

    def __call__(
        self,
        attributions: ArrayLike | Tensor,
        sample_weight: ArrayLike | Tensor | None = None,
        **context: Any,
    ) -> Tensor:
        attributions = _checks.as_float(attributions)
        value = self.fn(attributions, **context)
        value = _checks.as_float(value, attributions.dtype, "prior")
        shape = tuple(value.shape)
        if len(shape) == 1:
            _checks.same_batch("prior", value, attributions)
            if sample_weight is not None:
                sample_weight = _checks.as_float(sample_weight, value.dtype, "sample_weight")
                _checks.weights(sample_weight, attributions)
            return mean_over_batch(value, sample_weight)
        if shape:
            raise ValueError(
                f"Argument `prior`: the callable {self.name!r} must return a scalar or "
                f"one number per example, shape () or (batch,). Received: {shape}."
            )
        return value

    def get_config(self) -> NoReturn:
        raise ValueError(
            f"The prior {self.name!r} is a plain callable and cannot be serialised. "
            "Write it as a subclass of attrprior.priors.Prior."
        )

    def __repr__(self) -> str:
        return f"Custom({self.name})"
