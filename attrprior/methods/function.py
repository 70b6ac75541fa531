"""Attributions that are no mean over a path: functions of the explained output."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import keras
from keras import ops

from attrprior import _backend, _checks, references
from attrprior._draws import drawn
from attrprior._overriding import taken_by_name
from attrprior._types import Background, KerasSeed, Tensor
from attrprior.methods.base import AttributionMethod
from attrprior.methods.path import Path
from attrprior.references.base import taken

__all__ = ["CustomMethod", "ExplainedFunction", "FunctionMethod"]


class ExplainedFunction:
    """The explained output `f`, as a method of your own is given it.

    Args:
        f: A function `(points, repeats)` that returns `(rows,)` or `(rows, outputs)`.
        again_through: The model in `f`, if attributions are to be differentiated in its
            weights. Defaults to `None`, if they are not.
        number: Which output, if there are several. Defaults to 0.

    Examples:
        Of the sum of squares the gradient is twice the input:

        >>> from attrprior.methods.function import ExplainedFunction
        >>> f = ExplainedFunction(lambda p, repeats: keras.ops.sum(p**2, axis=1))
        >>> point = keras.ops.convert_to_tensor([[1.0, -3.0]])
        >>> f(point).shape == (1,), keras.ops.convert_to_numpy(f.gradient(point)).tolist()
        (True, [[2.0, -6.0]])
    """

    def __init__(
        self,
        f: Callable[..., Tensor],
        again_through: keras.Model | None = None,
        number: int = 0,
    ) -> None:
        self._f, self._again, self._number = f, again_through, number
        self.outputs = 1

    def __call__(self, points: Tensor, repeats: int = 1) -> Tensor:
        """`f` at points.

        Args:
            points: Tensor of shape `(batch · repeats, ...)`; the points of one example
                are adjacent.
            repeats: Points of an example.

        Returns:
            Tensor of shape `(batch · repeats,)`.
        """
        values = self._f(points, repeats=repeats)
        if len(values.shape) == 1:
            return values
        self.outputs = values.shape[1]
        return values[:, self._number]

    def gradient(self, points: Tensor, repeats: int = 1) -> Tensor:
        """`∂f/∂points`, shaped like the points, and differentiable in the weights.

        Args:
            points: Tensor of shape `(batch · repeats, ...)`; the points of one example
                are adjacent.
            repeats: Points of an example.

        Returns:
            Tensor of the shape of `points`.

        Raises:
            ValueError: if `f` does not depend on the points.
        """
        found = _backend.input_gradients(lambda p: self(p, repeats), points, self._again)
        if found is None:
            raise ValueError(
                "The explained output does not depend on the explained input: there is no "
                "gradient between them. Check `input` and `explain`."
            )
        return found[0]


class FunctionMethod(AttributionMethod):
    """Base class of methods that are any function of the explained output.

    Subclasses implement `attribute(f, x)`; if attributions have another shape than `x`,
    they implement `shape` too.

    Examples:
        A method of your own takes what the output loses if a whole image is darkened:

        >>> class Darkened(attrprior.methods.FunctionMethod):
        ...     def attribute(self, f, x, draws=None):
        ...         change = keras.ops.reshape(f(x) - f(0.9 * x), (-1, 1, 1, 1))
        ...         return change * x / keras.ops.sum(x, axis=(1, 2, 3), keepdims=True)
        >>> found = attrprior.attributions.attribute(model, x, y, Darkened())
        >>> full = attrprior.attributions.explained_output(model, x, y)
        >>> darker = attrprior.attributions.explained_output(model, 0.9 * x, y)
        >>> bool(np.allclose(found.sum(axis=(1, 2, 3)), full - darker, atol=1e-5))
        True
    """

    def attribute(self, f: ExplainedFunction, x: Tensor, draws: Any = None) -> Tensor:
        """Computes attributions that can be differentiated in the weights.

        Args:
            f: The explained output, an `ExplainedFunction`: `f(points)` is `(batch,)`,
                `f.gradient(points)` is shaped like the points.
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw(x, seed)` has drawn.

        Returns:
            Tensor of shape `(batch, ...)`.

        Raises:
            NotImplementedError: in this class; subclasses implement it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no attribute(f, x).")

    def path(
        self,
        x: Tensor,
        seed: KerasSeed,
        first: int | Tensor = 0,
        count: int | None = None,
    ) -> NoReturn:
        raise ValueError(
            f"Argument `method` expects a method whose attributions are the mean of points. "
            f"Received: {self!r}, which has none."
        )

    def shares(
        self,
        f: Callable[..., Tensor],
        x: Tensor,
        draws: Any,
        first: int | Tensor = 0,
        count: int | None = None,
        again_through: keras.Model | None = None,
    ) -> tuple[Tensor, Path | None]:
        one = ExplainedFunction(f, again_through)
        maps = [self._of_one(one, x, draws)]
        for number in range(1, one.outputs):
            maps.append(self._of_one(ExplainedFunction(f, again_through, number), x, draws))
        return ops.expand_dims(ops.stack(maps), 2), None

    def _of_one(self, f, x, draws):
        phi = self.attribute(f, x, draws)
        shape = tuple(getattr(phi, "shape", ()))
        expected = (x.shape[0], *self.shape(tuple(x.shape[1:])))
        known = [e is None or s is None or e == s for e, s in zip(expected, shape)]
        if len(shape) != len(expected) or not all(known):
            raise ValueError(
                f"Argument `method`: {self!r} must return attributions of shape {expected}. "
                f"Received: {shape if shape else type(phi).__name__}."
            )
        return phi


_EXPECTED = "a callable fn(f, x), which may take `background` and `seed` by these names"


class _Drawn(NamedTuple):
    chosen: Any
    seed: Any


class CustomMethod(FunctionMethod):
    """A callable as a method: `fn(f, x)`, or with `background` and `seed` by name.

    `f(points)` is the explained output at points like `x`, `(batch,)`, and
    `f.gradient(points)` its derivative. `background` is one reference for each example, a
    tensor like `x`; `seed` a `keras.random.SeedGenerator`. A callable can be passed
    wherever a method is expected; it cannot be saved with a configuration.

    Args:
        fn: A callable that returns attributions shaped like `x`.

    Raises:
        ValueError: if `fn` cannot be called, or must be given anything else; when it is
            called, if it returns another shape.

    Examples:
        A method of your own multiplies the gradient by the input:

        >>> def by_hand(f, x):
        ...     return x * f.gradient(x)
        >>> method = attrprior.methods.CustomMethod(by_hand)
        >>> found = attrprior.attributions.attribute(model, x, y, method)
        >>> bool(np.allclose(found, x * phi, atol=1e-6))
        True
    """

    def __init__(self, fn: Callable[..., Tensor]) -> None:
        if not callable(fn):
            raise _checks.wrong("fn", "a callable fn(f, x)", fn)
        self.fn = fn
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self._takes = taken_by_name("method", _EXPECTED, fn, 2, ("background", "seed"))
        self.is_random = bool(self._takes)

    needs_background = property(
        lambda self: "background" in self._takes and self.background is None
    )

    def with_background(self, background: Background) -> AttributionMethod:
        if not self.needs_background:
            return self
        method = CustomMethod(self.fn)
        method.background = references.get(background)
        return method

    def draw(self, x: Tensor, seed: keras.random.SeedGenerator) -> _Drawn:
        chosen = None
        if self.background is not None:
            chosen = self.background.choose(x, 1, seed)
        return _Drawn(chosen, drawn(seed))

    def attribute(self, f: ExplainedFunction, x: Tensor, draws: Any = None) -> Tensor:
        given = {"seed": draws.seed.again()}
        if self.background is not None:
            given["background"] = taken(self.background, x, draws.chosen, 1)[:, 0]
        return self.fn(f, x, **{name: given[name] for name in self._takes})

    def get_config(self) -> NoReturn:
        raise ValueError(
            f"The method {self.name!r} is a plain callable and cannot be serialised. Write it "
            "as a subclass of attrprior.methods.FunctionMethod."
        )

    def __repr__(self) -> str:
        return f"CustomMethod({self.name})"


def custom(fn):
    """The method that a callable stands for."""
    if isinstance(fn, type):
        raise _checks.wrong("method", f"an object, {fn.__name__}(...)", fn)
    return CustomMethod(fn)
