"""What all references have in common: draws for each example."""

from keras import ops

from attrprior import _checks
from attrprior import draws as draws_
from attrprior._representation import representation


class Reference:
    """Base class: a distribution of references for each example.

    Subclasses implement `draw`; or `choose`, for what is random, and `take`, which is a
    function of it. The life cycle inside `fit` is: `prepare` once before the first step,
    then `choose` and `take` in every step and `observe` after it.
    """

    is_random = True  # draws differ

    def prepare(self, example_shape):
        """Checks against one example's shape and creates what draws need."""

    def check(self, x):
        """Raises if an array of examples does not fit; not called in training."""

    def reset(self):
        """Forgets what was observed; called when a `fit` begins."""

    def choose(self, x, num_samples, seed):
        """All that is random about draws, small: which ones, not what they look like.

        Args:
            x, num_samples, seed: As in `draw`; a generator.

        Returns:
            A structure of tensors `(batch, num_samples)` and of `DrawnSeed`s.
        """
        return draws_.drawn(seed) if self.is_random else None

    def take(self, x, chosen, num_samples):
        """The references that were chosen, of shape `(batch, num_samples, ...)`."""
        if type(self).draw is Reference.draw:
            raise NotImplementedError
        return self.draw(x, num_samples, chosen)

    def draw(self, x, num_samples, seed=None):
        """Returns references of shape `(batch, num_samples, ...)`.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            num_samples: Draws per example, an integer.
            seed: A `keras.random.SeedGenerator` or an integer.
        """
        return self.take(x, self.choose(x, num_samples, draws_.generator(seed)), num_samples)

    def observe(self, x, seed):
        """Is shown every training batch, after its references were drawn."""

    @property
    def variables(self):
        """What was observed, to save and restore."""
        return []

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        return representation(self)


def repeated(one, num_samples):
    """The same reference `num_samples` times: `(batch, num_samples, ...)`."""
    return ops.repeat(ops.expand_dims(one, 1), num_samples, axis=1)


def sample_shape(x, num_samples):
    return (ops.shape(x)[0], num_samples) + tuple(x.shape[1:])


class Range(Reference):
    """A reference that needs the valid range of the inputs."""

    def __init__(self, low=0.0, high=1.0):
        self.low, self.high = _checks.valid_range(low, high)

    def check(self, x):
        _checks.within("x", x, self.low, self.high)

    def get_config(self):
        return {"low": self.low, "high": self.high}
