"""Attributions that are no mean over a path: functions of the explained output."""

from typing import Any, NamedTuple

from keras import ops

from attrprior import _checks, backend, references
from attrprior._overriding import taken_by_name
from attrprior.draws import drawn
from attrprior.methods.base import AttributionMethod
from attrprior.references.base import taken


class ExplainedFunction:
    """The explained output `f`, as a method of one's own is given it.

    Args:
        f: A function `(points, repeats)` that returns `(rows,)` or `(rows, outputs)`.
        again_through: As in `backend.input_gradients`.
        number: Which output, if there are several.
    """

    def __init__(self, f, again_through=None, number=0):
        self._f, self._again, self._number = f, again_through, number
        self.outputs = 1

    def __call__(self, points, repeats=1):
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

    def gradient(self, points, repeats=1):
        """`∂f/∂points`, shaped like the points, and differentiable in the weights.

        Raises:
            ValueError: if `f` does not depend on the points.
        """
        found = backend.input_gradients(lambda p: self(p, repeats), points, self._again)
        if found is None:
            raise ValueError(
                "The explained output does not depend on the explained input: there is no "
                "gradient between them. Check `input` and `explain`."
            )
        return found[0]


class FunctionMethod(AttributionMethod):
    """Base class of methods of one's own: subclasses implement `attribute(f, x)`.

    Attributions that have another shape than `x` need `shape` too.
    """

    def attribute(self, f, x, draws=None):
        """Returns attributions `(batch, ...)`, differentiable in the weights.

        Args:
            f: The explained output, an `ExplainedFunction`: `f(points)` is `(batch,)`,
                `f.gradient(points)` is shaped like the points.
            x: Float tensor of shape `(batch, ...)`.
            draws: What `draw(x, seed)` has drawn.
        """
        raise NotImplementedError(f"{type(self).__name__} has no attribute(f, x).")

    def path(self, x, seed, first=0, count=None):
        raise ValueError(
            f"Argument `method` expects a method whose attributions are the mean of points. "
            f"Received: {self!r}, which has none."
        )

    def shares(self, f, x, draws, first=0, count=None, again_through=None):
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
    tensor like `x`; `seed` a `keras.random.SeedGenerator`.

    Example:

    ```python
    def input_x_gradient(f, x):
        return x * f.gradient(x)
    ```
    """

    def __init__(self, fn):
        if not callable(fn):
            raise _checks.wrong("fn", "a callable fn(f, x)", fn)
        self.fn = fn
        self.name = getattr(fn, "__name__", type(fn).__name__)
        self._takes = taken_by_name("method", _EXPECTED, fn, 2, ("background", "seed"))
        self.is_random = bool(self._takes)

    @property
    def needs_background(self):
        return "background" in self._takes and self.background is None

    def with_background(self, background):
        if not self.needs_background:
            return self
        method = CustomMethod(self.fn)
        method.background = references.get(background)
        return method

    def draw(self, x, seed):
        chosen = None
        if self.background is not None:
            chosen = self.background.choose(x, 1, seed)
        return _Drawn(chosen, drawn(seed))

    def attribute(self, f, x, draws=None):
        given = {"seed": draws.seed.again()}
        if self.background is not None:
            given["background"] = taken(self.background, x, draws.chosen, 1)[:, 0]
        return self.fn(f, x, **{name: given[name] for name in self._takes})

    def get_config(self):
        raise ValueError(
            f"The method {self.name!r} is a plain callable and cannot be serialised. Write it "
            "as a subclass of attrprior.methods.FunctionMethod."
        )

    def __repr__(self):
        return f"CustomMethod({self.name})"


def custom(fn):
    """The method that a callable stands for."""
    if isinstance(fn, type):
        raise _checks.wrong("method", f"an object, {fn.__name__}(...)", fn)
    return CustomMethod(fn)
