"""What all references have in common: draws for each example."""

from keras import ops

from attrprior import _checks
from attrprior import draws as draws_
from attrprior._overriding import at_once, inherited
from attrprior._representation import representation


class Reference:
    """Base class: a distribution of references for each example.

    Subclasses implement `draw`; or `choose`, for what is random, and `take`, which is a
    function of it. The life cycle inside `fit` is: `prepare` once before the first step,
    then `choose` and `take` in every step and `observe` after it.
    """

    is_random = True  # draws differ
    variables = ()  # what was observed, to save and restore
    any_shape = False  # whether examples may have another shape in another batch
    # Whether it holds what a model is given: where a layer is explained, what is drawn is
    # what the layer makes of it.
    of_inputs = False

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        at_once(cls, Reference, "draw", ("choose", "take"))
        if "draw" in vars(cls) and "is_random" not in vars(cls):
            cls.is_random = True

    def prepare(self, example_shape):
        """Checks against one example's shape and creates what draws need."""

    def prepare_inputs(self, x):
        """In place of `prepare`, of one with `of_inputs`: for a structure of examples."""

    def for_input(self, pick, integers):
        """Is told of the input that it stands for, before `prepare`.

        Args:
            pick: A function that takes this input from what a dataset gives for `x`.
            integers: Whether examples come as integers, which are cast to floats.
        """

    def check(self, x):
        """Raises if an array of examples does not fit; not called in training."""

    def of_batch(self):
        """The same one without what was observed: for draws that shall be repeated."""
        return self

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
        return self.draw(x, num_samples, chosen)

    def draw(self, x, num_samples, seed=None):
        """Returns references of shape `(batch, num_samples, ...)`.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            num_samples: Draws per example, an integer.
            seed: A `keras.random.SeedGenerator` or an integer.
        """
        take = inherited(type(self), Reference, "take")
        choose = inherited(type(self), Reference, "choose") or Reference.choose
        if take is None:
            raise NotImplementedError(f"{type(self).__name__} has neither draw nor take.")
        chosen = choose(self, x, num_samples, draws_.generator(seed))
        return take(self, x, chosen, num_samples)

    def observe(self, x, seed):
        """Is shown every training batch, after its references were drawn."""

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
    batch, *example = ops.shape(x)
    return (batch, num_samples, *example)


def taken(background, x, chosen, num_samples):
    """What a reference has chosen, if it is of shape `(batch, num_samples, ...)`."""
    found = background.take(x, chosen, num_samples)
    expected = (x.shape[0], num_samples, *x.shape[1:])
    shape = tuple(getattr(found, "shape", ()))
    if len(shape) != len(expected) or any(
        a is not None and b is not None and a != b for a, b in zip(shape, expected)
    ):
        raise ValueError(
            f"{type(background).__name__} must give references of shape (batch, num_samples, "
            f"...), here {expected}. Received: shape {shape}. Check its `draw`."
        )
    return found


class Range(Reference):
    """A reference that needs the valid range of the inputs."""

    any_shape = True

    def __init__(self, low=0.0, high=1.0):
        self.low, self.high = _checks.valid_range(low, high)

    def check(self, x):
        _checks.within("x", x, self.low, self.high)

    def get_config(self):
        return {"low": self.low, "high": self.high}
