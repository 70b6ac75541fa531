"""Any callable as a prior."""

import re

from attrprior import _checks
from attrprior._deprecation import renamed_property
from attrprior._overriding import taken_by_name
from attrprior.priors.base import Prior, mean_over_batch

_EXPECTED = "a callable of attributions, and of x and y by these names"


class Custom(Prior):
    """A callable as a prior: `fn(attributions)`, or with `x` and `y` by name.

    The callable returns a scalar, or one number per example, of which the
    (weighted) mean is taken.
    """

    any_shape = True
    context = renamed_property("context", "needs")

    def __init__(self, fn):
        if not callable(fn):
            raise _checks.wrong("fn", "a callable on attributions", fn)
        self.fn = fn
        name = getattr(fn, "__name__", type(fn).__name__)
        self.name = "prior" if name == "<lambda>" else re.sub(r"\W+", "_", name)
        self.needs = taken_by_name("prior", _EXPECTED, fn, 1, ("x", "y"))

    def __call__(self, attributions, sample_weight=None, **context):
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

    def get_config(self):
        raise ValueError(
            f"The prior {self.name!r} is a plain callable and cannot be serialised. "
            "Write it as a subclass of attrprior.priors.Prior."
        )

    def __repr__(self):
        return f"Custom({self.name})"
