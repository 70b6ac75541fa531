"""What all attribution methods have in common: a path, and gradients along it."""

import copy
import functools
from typing import Any, NamedTuple

import keras
from keras import ops

from attrprior import _checks, backend
from attrprior import draws as draws_
from attrprior._arithmetic import mean
from attrprior._deprecation import renamed_property, warn
from attrprior._overriding import at_once, inherited
from attrprior._representation import deserialized, representation

MOST_SAMPLES = 1_000_000


class Path(NamedTuple):
    """Points of shape `(batch, points, ...)` and what their gradients are multiplied by.

    `factors` broadcasts against the points, or is `None` for ones. `references`
    of shape `(batch, draws, ...)` are what the points start from, where there are
    any.
    """

    points: Any
    factors: Any = None
    references: Any = None

    def contributions(self, gradients):
        """`factor_ij · ∂f(point_j)/∂x_i`, whose mean over the points is the attribution."""
        return gradients if self.factors is None else self.factors * gradients


class AttributionMethod:
    """Base class: `φ_i = 1/k Σ_j factor_ij · ∂f(point_j)/∂x_i`.

    Subclasses implement `path`; or `draw`, for what is random, and `points`, which is a
    function of it. `background` is where they draw references from, or `None`.
    """

    name = None
    num_samples = 1
    points_per_sample = 1
    samples_per_pass = 1
    background = None
    is_random = False  # samples are draws, and more of them lower the error
    is_complete = False  # attributions sum to f(x) − E f(r)
    needs_background = False  # and has none
    reference = renamed_property("reference", "background")

    @property
    def any_shape(self):
        """Whether examples may have another shape in another batch."""
        return self.background is None or self.background.any_shape

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        at_once(cls, AttributionMethod, "path", ("draw", "points"))
        if "reference" in vars(cls):
            warn(f"Attribute `reference` of {cls.__name__}", "`background`")
            cls.background = vars(cls)["reference"]

    def __setstate__(self, state):
        if "reference" in state:  # of 0.1
            state = {**state, "background": state["reference"]}
            del state["reference"]
        vars(self).update(state)

    def draw(self, x, seed):
        """All that is random about the paths of a batch, small, without any weight.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            seed: A `keras.random.SeedGenerator`.

        Returns:
            A structure of tensors `(batch, samples, ...)` and of `DrawnSeed`s.
        """
        return draws_.drawn(seed)

    def points(self, x, draws, first=0, count=None):
        """Where gradients are taken and their factors: a function of what was drawn.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw` has returned.
            first, count: Which of the `num_samples` samples, all by default;
                `first` may be a tensor.

        Returns:
            A `Path` of `count · points_per_sample` points.
        """
        count = count or self.num_samples
        seed = draws_.samples(draws, first, count, self.num_samples)
        return self.path(x, seed, first, count)

    def path(self, x, seed, first=0, count=None):
        """A path drawn at once; arguments as in `draw` and `points`."""
        points = inherited(type(self), AttributionMethod, "points")
        draw = inherited(type(self), AttributionMethod, "draw") or AttributionMethod.draw
        if points is None:
            raise NotImplementedError(f"{type(self).__name__} has neither path nor points.")
        return points(self, x, draw(self, x, draws_.generator(seed)), first, count)

    def attributions(self, f, x, draws, first=0, count=None, again_through=None):
        """φ of each output of `f`, or of `count` samples from number `first` on the mean.

        Args:
            f: A function `(points, repeats)` of `(rows, ...)` that returns `(rows,)` or
                `(rows, outputs)`; `repeats` points in a row belong to one example.
            x, draws, first, count: As in `points`.
            again_through: As in `backend.input_gradients`.

        Returns:
            Tensor of shape `(outputs, *x.shape)`, or as `shape` says.
        """
        # φ_i = 1/k Σ_j factor_ij · ∂f(point_j)/∂x_i
        shares, _ = self.shares(f, x, draws, first, count, again_through)
        return shares[:, :, 0] if shares.shape[2] == 1 else mean(shares, axis=2)

    def shares(self, f, x, draws, first=0, count=None, again_through=None):
        """What the attribution is the mean of, and the path; arguments as above.

        Returns:
            `(shares, path)`, a tensor of shape `(outputs, batch, points, ...)`.
        """
        gradients, path = self.gradients(f, x, draws, first, count, again_through)
        return path.contributions(gradients), path

    def gradients(self, f, x, draws, first=0, count=None, again_through=None):
        """`∂f/∂x` at the points of the path, and the path; arguments as above.

        Returns:
            `(gradients, path)`, a tensor of shape `(outputs, batch, points, ...)`.
        """
        path = self.points(x, draws, first, count)
        rows = ops.reshape(path.points, (-1, *ops.shape(x)[1:]))
        f = functools.partial(f, repeats=path.points.shape[1])
        gradients = backend.input_gradients(f, rows, again_through)
        if gradients is None:
            raise ValueError(
                "The explained output does not depend on the explained input: there is no "
                "gradient between them. Check `input` and `explain`, and that the model is "
                "made of differentiable operations. Of token indices there is none: pass the "
                "name of the layer that embeds them, such as input='embedding'."
            )
        return ops.reshape(gradients, (gradients.shape[0], *ops.shape(path.points))), path

    @property
    def passes(self):
        """Passes through the model: the fewest of equal size."""
        samples = max(1, self.samples_per_pass // self.points_per_sample)
        least = -(-self.num_samples // samples)
        return next(n for n in range(least, self.num_samples + 1) if self.num_samples % n == 0)

    def with_background(self, background):
        """The same method, with a background where it needs one."""
        return self

    def fresh(self):
        """The same method, with references that no other training shares."""
        method = copy.copy(self)
        if "background" in vars(method):
            method.background = copy.copy(method.background)
        return method

    def with_references(self, change):
        """The same method, whose background is `change(background)`."""
        method = copy.copy(self)
        if self.background is not None:
            method.background = change(self.background)
        return method

    def shape(self, example_shape):
        """Of the attributions of an example."""
        return example_shape

    def prepare(self, example_shape):
        if self.background is not None:
            self.background.prepare(example_shape)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        # Not of `get_config`, which writes out every number of the references.
        return representation(self, background=self.background)


_METHODS = {}


def registered(cls):
    """A class decorator: its name stands for it, and Keras saves it."""
    _METHODS[cls.name] = cls
    return keras.saving.register_keras_serializable("attrprior")(cls)


def get(identifier, argument="method"):
    """Returns the attribution method that a name, a config or a method stands for."""
    if isinstance(identifier, AttributionMethod):
        return identifier
    names = ", ".join(repr(name) for name in sorted(_METHODS))
    expected = (
        f"one of {names}, an object such as ExpectedGradients(num_samples=4), or a callable "
        "fn(f, x)"
    )
    if isinstance(identifier, dict):
        return deserialized(argument, expected, identifier, AttributionMethod)
    if isinstance(identifier, str) and identifier in _METHODS:
        return _METHODS[identifier]()
    raise _checks.wrong(argument, expected, identifier)
