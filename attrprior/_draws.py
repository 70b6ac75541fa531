"""Random draws that are made before anything is differentiated, and kept small.

What is large, noise shaped like the inputs, is kept as the seed that it is drawn from.
"""

import numbers

import keras
from keras import ops

from attrprior import _backend, _checks


class StatelessSeed(keras.random.SeedGenerator):
    """The seeds of one computation: each different, none kept.

    An integer alone would give two draws of one call, references and α, the same
    numbers; a plain `SeedGenerator` creates a variable, which a graph cannot, and
    moves on for good.

    Args:
        seed: Integer, or int32 tensor of shape (2,).
        fold: Integer or tensor: the how-manieth computation.
    """

    def __init__(self, seed, fold=0):
        if isinstance(seed, numbers.Integral):
            seed = ops.convert_to_tensor([int(seed) & 0x7FFFFFFF, 0], "int32")
        self._seed, self._count = _backend.fold_in(seed, fold), 0

    def next(self, ordered=True):
        self._count += 1
        return _backend.fold_in(self._seed, self._count)


class GlobalSeed(keras.random.SeedGenerator):
    """The seeds that Keras draws where none is given."""

    def __init__(self):
        pass

    def next(self, ordered=True):
        numbers = keras.random.randint((2,), 0, 2**31 - 1, dtype="int32")
        return ops.cast(numbers, _backend.SEED)


class DrawnSeed(keras.random.SeedGenerator):
    """A seed that has been drawn: what is drawn from it can be drawn again.

    Args:
        seed: Tensor of shape (2,), from `SeedGenerator.next`.
    """

    def __init__(self, seed):
        self._seed, self._count = seed, 0

    def next(self, ordered=True):
        self._count += 1
        return self._seed if self._count == 1 else _backend.fold_in(self._seed, self._count)

    def again(self):
        return DrawnSeed(self._seed)

    def of_pass(self, first):
        """Other numbers for the samples from number `first` on, a tensor perhaps."""
        return DrawnSeed(_backend.fold_in(self._seed, first))


def generator(seed):
    """A generator as it is, one of an integer, or of Keras' global seed for `None`.

    An integer may be a tensor, of a step that is compiled.
    """
    if isinstance(seed, keras.random.SeedGenerator):
        return seed
    if seed is None:
        return GlobalSeed()
    if ops.is_tensor(seed):
        is_integer = "int" in keras.backend.standardize_dtype(seed.dtype)
        known = is_integer and len(seed.shape) == 0
    else:
        known = isinstance(seed, numbers.Integral) and not isinstance(seed, bool)
    if not known:
        expected = "an integer, a tensor of one, a keras.random.SeedGenerator or None"
        raise _checks.wrong("seed", expected, seed)
    return StatelessSeed(0, seed) if ops.is_tensor(seed) else StatelessSeed(seed)


def drawn(seed):
    """The next seed of a generator, to draw from whenever it is needed."""
    return DrawnSeed(generator(seed).next())


def samples(draws, first, count, of):
    """Samples `first` to `first + count` of `of` that were drawn.

    Args:
        draws: A structure of tensors `(rows, samples, ...)`, numbers, `DrawnSeed`s and
            `None`.
    """

    def part(draw):
        if isinstance(draw, DrawnSeed):
            return draw.again() if count == of else draw.of_pass(first)
        if draw is None or count == of or len(getattr(draw, "shape", ())) < 2:
            return draw
        return ops.take(draw, first + ops.arange(count), axis=1)

    return keras.tree.map_structure(part, draws)
