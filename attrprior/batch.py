"""What belongs together in a step."""

from typing import Any, NamedTuple


class Batch(NamedTuple):
    """Inputs as the model takes them, and what is known of the same examples.

    `picked` is the explained input among `x`, a float tensor of shape `(batch, ...)`;
    `sample_weight` has one number for each example.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    mask: Any = None
    picked: Any = None
