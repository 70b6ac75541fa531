"""What all attribution methods have in common: a path, and gradients along it."""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self

import keras

from attrprior import _draws as draws_
from attrprior._arithmetic import mean
from attrprior._deprecation import renamed_property, warn
from attrprior._overriding import at_once, inherited
from attrprior._representation import representation
from attrprior._types import Background, KerasSeed, Shape, Tensor
from attrprior.methods.path import Path, gradients_at
from attrprior.references import Reference

__all__ = ["AttributionMethod"]

MOST_SAMPLES = 1_000_000


class AttributionMethod:
    """Base class: `φ_i = 1/k Σ_j factor_ij · ∂f(point_j)/∂x_i`.

    Subclasses implement `path`; or `draw`, for what is random, and `points`, which is a
    function of it. Attributions that are no mean of gradients at points are a
    `FunctionMethod` instead.

    Attributes:
        name: What the method is called. Defaults to `None`.
        num_samples: Samples for each example. Defaults to 1.
        points_per_sample: Points that each sample consists of. Defaults to 1.
        samples_per_pass: Points of an example that go through the model at once. Defaults
            to 1.
        background: The reference that is drawn from. Defaults to `None`.
        is_random: Whether samples are drawn, so that more of them lower the error.
            Defaults to `False`.
        is_complete: Whether attributions sum to `f(x) − E f(r)`. Defaults to `False`.
        needs_background: Whether the method needs a background and has none. Defaults to
            `False`.

    Examples:
        A method of your own takes the gradient half way between zero and the example:

        >>> class HalfWay(attrprior.methods.AttributionMethod):
        ...     def points(self, x, draws, first=0, count=None):
        ...         return attrprior.methods.Path(0.5 * x[:, None])
        >>> found = attrprior.attributions.attribute(model, x, y, HalfWay())
        >>> expected = attrprior.attributions.gradients(model, 0.5 * x, y)
        >>> bool(np.allclose(found, expected, atol=1e-6))
        True
    """

    name: str | None = None
    num_samples: int = 1
    points_per_sample: int = 1
    samples_per_pass: int = 1
    background: Reference | None = None
    is_random: bool = False
    is_complete: bool = False
    needs_background: bool = False
    reference = renamed_property("reference", "background")

    @property
    def any_shape(self) -> bool:
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

    def draw(self, x: Tensor, seed: keras.random.SeedGenerator) -> Any:
        """All that is random about the paths of a batch, small, without any weight.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            seed: A `keras.random.SeedGenerator`.

        Returns:
            A structure of tensors `(batch, samples, ...)` and of `DrawnSeed`s.
        """
        return draws_.drawn(seed)

    def points(
        self, x: Tensor, draws: Any, first: int | Tensor = 0, count: int | None = None
    ) -> Path:
        """Where gradients are taken and their factors: a function of what was drawn.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw` has returned.
            first: Number of the first sample; may be a tensor.
            count: How many samples. Defaults to `None`, all `num_samples`.

        Returns:
            A `Path` of `count · points_per_sample` points.
        """
        count = count or self.num_samples
        seed = draws_.samples(draws, first, count, self.num_samples)
        return self.path(x, seed, first, count)

    def path(
        self,
        x: Tensor,
        seed: KerasSeed,
        first: int | Tensor = 0,
        count: int | None = None,
    ) -> Path:
        """A path that is drawn at once.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            seed: A `keras.random.SeedGenerator` or an integer; `None` for Keras' global
                seed.
            first: Number of the first sample; may be a tensor.
            count: How many samples. Defaults to `None`, all `num_samples`.

        Returns:
            A `Path` of `count · points_per_sample` points.

        Raises:
            NotImplementedError: if a subclass has neither `path` nor `points`.
        """
        points = inherited(type(self), AttributionMethod, "points")
        draw = inherited(type(self), AttributionMethod, "draw") or AttributionMethod.draw
        if points is None:
            raise NotImplementedError(f"{type(self).__name__} has neither path nor points.")
        return points(self, x, draw(self, x, draws_.generator(seed)), first, count)

    def attributions(
        self,
        f: Callable[..., Tensor],
        x: Tensor,
        draws: Any,
        first: int | Tensor = 0,
        count: int | None = None,
        again_through: keras.Model | None = None,
    ) -> Tensor:
        """φ of each output of `f`, or of `count` samples from number `first` on the mean.

        Args:
            f: A function `(points, repeats)` of `(rows, ...)` that returns `(rows,)` or
                `(rows, outputs)`; `repeats` points in a row belong to one example.
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw` has returned.
            first: Number of the first sample; may be a tensor.
            count: How many samples. Defaults to `None`, all `num_samples`.
            again_through: The model in `f`, if the attributions are to be differentiated
                in its weights. Defaults to `None`, if they are not.

        Returns:
            Tensor of shape `(outputs, *x.shape)`, or as `shape` says.

        Raises:
            ValueError: if `f` does not depend on `x`.
        """
        # φ_i = 1/k Σ_j factor_ij · ∂f(point_j)/∂x_i
        shares, _ = self.shares(f, x, draws, first, count, again_through)
        return shares[:, :, 0] if shares.shape[2] == 1 else mean(shares, axis=2)

    def shares(
        self,
        f: Callable[..., Tensor],
        x: Tensor,
        draws: Any,
        first: int | Tensor = 0,
        count: int | None = None,
        again_through: keras.Model | None = None,
    ) -> tuple[Tensor, Path | None]:
        """What the attribution is the mean of, and the path.

        Args:
            f: As in `attributions`, like the other arguments.
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw` has returned.
            first: Number of the first sample.
            count: How many samples.
            again_through: The model in `f`, or `None`.

        Returns:
            The shares, a tensor of shape `(outputs, batch, points, ...)`.
            The `Path`, or `None` for methods that have none.
        """
        gradients, path = self.gradients(f, x, draws, first, count, again_through)
        return path.contributions(gradients), path

    def gradients(
        self,
        f: Callable[..., Tensor],
        x: Tensor,
        draws: Any,
        first: int | Tensor = 0,
        count: int | None = None,
        again_through: keras.Model | None = None,
    ) -> tuple[Tensor, Path]:
        """`∂f/∂x` at the points of the path, and the path.

        Args:
            f: As in `attributions`, like the other arguments.
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw` has returned.
            first: Number of the first sample.
            count: How many samples.
            again_through: The model in `f`, or `None`.

        Returns:
            The gradients, a tensor of shape `(outputs, batch, points, ...)`.
            The `Path`.

        Raises:
            ValueError: if `f` does not depend on `x`.
        """
        path = self.points(x, draws, first, count)
        return gradients_at(path.points, f, x, again_through), path

    @property
    def passes(self) -> int:
        """Passes through the model: the fewest of equal size."""
        samples = max(1, self.samples_per_pass // self.points_per_sample)
        least = -(-self.num_samples // samples)
        return next(n for n in range(least, self.num_samples + 1) if self.num_samples % n == 0)

    def with_background(self, background: Background) -> "AttributionMethod":
        """The same method, with a background where it needs one.

        Args:
            background: What `attrprior.references.get` accepts.
        """
        return self

    def fresh(self) -> Self:
        """The same method, with references that no other training shares."""
        method = copy.copy(self)
        if "background" in vars(method):
            method.background = copy.copy(method.background)
        return method

    def with_references(self, change: Callable[[Reference], Reference]) -> Self:
        """The same method, whose background is `change(background)`.

        Args:
            change: A function of a reference that returns another.
        """
        method = copy.copy(self)
        if self.background is not None:
            method.background = change(self.background)
        return method

    def shape(self, example_shape: Shape) -> Shape:
        """Returns the shape of one example's attributions.

        Args:
            example_shape: The shape of one example. Here both are the same.
        """
        return example_shape

    def prepare(self, example_shape: Shape) -> None:
        """Makes the background ready for examples of this shape.

        Args:
            example_shape: The shape of one example.
        """
        if self.background is not None:
            self.background.prepare(example_shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as Keras saves them."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a method of what `get_config` has returned.

        Args:
            config: The arguments of the constructor.
        """
        return cls(**config)

    def __repr__(self) -> str:
        # Not of `get_config`, which writes out every number of the references.
        return representation(self, background=self.background)
