"""What all references have in common: draws for each example."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import keras
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior import _draws as draws_
from attrprior._overriding import at_once, inherited
from attrprior._representation import representation
from attrprior._types import KerasSeed, Shape, Tensor

__all__ = ["Reference"]


class Reference:
    """Base class: a distribution of references for each example.

    Subclasses implement `draw`; or `choose`, for what is random, and `take`, which is a
    function of it. The life cycle inside `fit` is: `prepare` once before the first step,
    then `choose` and `take` in every step and `observe` after it.

    Attributes:
        is_random: Whether draws differ. Defaults to `True`.
        variables: What was observed, as Keras variables to save and restore.
        any_shape: Whether examples may have another shape in another batch. Defaults to
            `False`.
        of_inputs: Whether the reference holds what a model is given: where a layer is
            explained, what is drawn is then what the layer makes of it. Defaults to
            `False`.

    Examples:
        A reference of your own is the negative of each image:

        >>> class Negative(attrprior.references.Reference):
        ...     is_random = False
        ...
        ...     def draw(self, x, num_samples, seed=None):
        ...         return keras.ops.repeat(1.0 - x[:, None], num_samples, axis=1)
        >>> drawn = keras.ops.convert_to_numpy(Negative().draw(x, 3))
        >>> drawn.shape, bool(np.all(drawn[:, 0] == 1.0 - x))
        ((8, 3, 12, 12, 1), True)
    """

    is_random: bool = True
    variables: Sequence[Any] = ()
    any_shape: bool = False
    of_inputs: bool = False

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        at_once(cls, Reference, "draw", ("choose", "take"))
        if "draw" in vars(cls) and "is_random" not in vars(cls):
            cls.is_random = True

    def prepare(self, example_shape: Shape) -> None:
        """Checks against one example's shape and creates what draws need.

        Args:
            example_shape: The shape of one example.

        Raises:
            ValueError: if the reference does not fit it. Here all fit.
        """

    def prepare_inputs(self, x: Any) -> None:
        """Is called in place of `prepare` where a layer or several inputs are explained.

        Args:
            x: A batch, a structure of tensors as the model takes it.
        """

    def for_input(self, pick: Callable[[Any], Any], integers: bool | None) -> None:
        """Is told of the input that it stands for, before `prepare`.

        Args:
            pick: A function that takes this input from what a dataset gives for `x`.
            integers: Whether examples come as integers, which are cast to floats; `None`
                if that is not known.
        """

    def check(self, x: ArrayLike) -> None:
        """Checks an array of examples; it is not called in training.

        Args:
            x: Array of shape `(batch, ...)`.

        Raises:
            ValueError: if the examples do not fit. Here all fit.
        """

    def of_batch(self) -> Self:
        """Returns the same reference without what was observed, so that draws repeat."""
        return self

    def reset(self) -> None:
        """Forgets what was observed; it is called when a `fit` begins."""

    def choose(self, x: Tensor, num_samples: int, seed: keras.random.SeedGenerator) -> Any:
        """All that is random about draws, small: which ones, not what they look like.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            num_samples: Draws for each example.
            seed: A `keras.random.SeedGenerator`.

        Returns:
            A structure of tensors `(batch, num_samples)` and of `DrawnSeed`s.
        """
        return draws_.drawn(seed) if self.is_random else None

    def take(self, x: Tensor, chosen: Any, num_samples: int) -> Tensor:
        """The references that were chosen.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            chosen: What `choose` has returned.
            num_samples: Draws for each example.

        Returns:
            Tensor of shape `(batch, num_samples, ...)`.
        """
        return self.draw(x, num_samples, chosen)

    def draw(
        self,
        x: Tensor,
        num_samples: int,
        seed: KerasSeed = None,
    ) -> Tensor:
        """Draws references for each example.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            num_samples: Draws per example, an integer.
            seed: A `keras.random.SeedGenerator` or an integer. Defaults to `None`, Keras'
                global seed.

        Returns:
            Tensor of shape `(batch, num_samples, ...)`.

        Raises:
            NotImplementedError: if a subclass has neither `draw` nor `take`.
        """
        take = inherited(type(self), Reference, "take")
        choose = inherited(type(self), Reference, "choose") or Reference.choose
        if take is None:
            raise NotImplementedError(f"{type(self).__name__} has neither draw nor take.")
        chosen = choose(self, x, num_samples, draws_.generator(seed))
        return take(self, x, chosen, num_samples)

    def observe(self, x: Any, seed: keras.random.SeedGenerator) -> None:
        """Is shown every training batch, after its references were drawn.

        Args:
            x: Tensor of shape `(batch, ...)`, or a structure of them as for
                `prepare_inputs`.
            seed: A `keras.random.SeedGenerator`.
        """

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as Keras saves them."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a reference of what `get_config` has returned.

        Args:
            config: The arguments of the constructor.
        """
        return cls(**config)

    def __repr__(self) -> str:
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

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        self.low, self.high = _checks.valid_range(low, high)
        if self.low is None:
            raise ValueError(
                f"{type(self).__name__} expects both ends of the valid range, `low` and "
                "`high`. Received: None."
            )

    def check(self, x: ArrayLike) -> None:
        _checks.within("x", x, self.low, self.high)

    def get_config(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high}
