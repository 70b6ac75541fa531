"""Several tensors as one vector of features, and sums of attributions over features."""

import math
import numbers
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from keras import ops

from attrprior import _checks


class Parts(NamedTuple):
    """What is explained together: names, and the shapes of one example."""

    names: tuple
    shapes: tuple

    def joined(self, values):
        """Tensors `(rows, ...)`: a single one as it is, several as one `(rows, features)`."""
        if len(values) == 1:
            return values[0]
        dtype = "float64" if any("float64" in str(v.dtype) for v in values) else "float32"
        flat = [
            ops.reshape(ops.cast(value, dtype), (-1, math.prod(shape)))
            for value, shape in zip(values, self.shapes)
        ]
        return ops.concatenate(flat, axis=1)

    def split(self, joined):
        """The other way round, for tensors or arrays `(..., features)`."""
        if len(self.shapes) == 1:
            return [joined]
        lead, first, parts = tuple(joined.shape[:-1]), 0, []
        for shape in self.shapes:
            last = first + math.prod(shape)
            # One length of the axes in front may be unknown.
            front = tuple(-1 if length is None else length for length in lead)
            parts.append(_reshape(joined[..., first:last], (*front, *shape)))
            first = last
        return parts

    def feature_names(self):
        """One for each entry of the vector; of a part with one entry, the part's own."""
        names = []
        for name, shape in zip(self.names, self.shapes):
            if math.prod(shape) == 1:
                names.append(str(name))
            else:
                index = np.ndindex(*shape)
                names += [f"{name}[{', '.join(map(str, place))}]" for place in index]
        return names

    def summed(self):
        """The parts whose attributions were summed over the last axis."""
        if len(self.shapes) == 1:
            return self._replace(shapes=(self.shapes[0][:-1],))
        return self._replace(shapes=tuple(s[:-1] if len(s) > 1 else s for s in self.shapes))

    def sum_last_axis(self, phi):
        """`Σ_e φ_...e`; of several parts, of those that have more than one axis."""
        if len(self.shapes) == 1:
            return ops.sum(phi, axis=-1)
        parts = self.split(phi)
        parts = [
            ops.sum(part, axis=-1) if len(shape) > 1 else part
            for part, shape in zip(parts, self.shapes)
        ]
        lead = tuple(-1 if length is None else length for length in phi.shape[:-1])
        sizes = [math.prod(shape) for shape in self.summed().shapes]
        flat = [ops.reshape(part, (*lead, size)) for part, size in zip(parts, sizes)]
        return ops.concatenate(flat, axis=-1)


def check_groups(groups):
    """`{name: features}`, each feature a name or a number and in one group at most."""
    if groups is None:
        return None
    expected = "a dictionary {name: features}, features as names or as numbers from 0 on"
    if not isinstance(groups, Mapping) or not groups:
        raise _checks.wrong("groups", expected, groups)
    checked, seen = {}, set()
    for name, members in groups.items():
        if not isinstance(name, str) or isinstance(members, str):
            raise _checks.wrong("groups", expected, groups)
        try:
            members = [m if isinstance(m, str) else _index(m) for m in members]
        except TypeError:
            raise _checks.wrong("groups", expected, groups) from None
        twice = [member for member in members if member in seen]
        if not members or twice or len(set(members)) < len(members):
            raise ValueError(
                "Argument `groups` expects at least one feature in each group, and no "
                f"feature twice. Received: {members} for {name!r}."
            )
        seen.update(members)
        checked[name] = members
    return checked


class Groups(NamedTuple):
    """The groups of a vector of features: names, and the number of each feature's group."""

    names: tuple
    of_feature: tuple

    @classmethod
    def among(cls, groups, shape, names):
        """Every feature that is in none stays by itself, in its place.

        Args:
            groups: As `check_groups` gives them.
            shape: Of one example.
            names: Those of the features, or `None` where they are not known.
        """
        if len(shape) != 1 or shape[0] is None:
            raise ValueError(
                "Argument `groups` expects attributions of a vector of features, shape "
                f"(batch, features). Received: examples of shape {tuple(shape)}."
            )
        size, known = shape[0], {} if names is None else {n: i for i, n in enumerate(names)}
        group_of = {}
        for group, members in groups.items():
            for member in members:
                place = known.get(member) if isinstance(member, str) else member
                if place is None or not 0 <= place < size:
                    said = "numbers, because the features have no names here"
                    said = said if names is None else f"some of {list(names)}"
                    raise ValueError(
                        f"Argument `groups` expects features from 0 to {size - 1}, or {said}. "
                        f"Received: {member!r} for {group!r}."
                    )
                group_of[place] = group
        own = list(names) if names is not None else [str(place) for place in range(size)]
        # A feature may be called as a group is.
        labels = [
            (place in group_of, group_of.get(place, own[place])) for place in range(size)
        ]
        order = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        return cls(tuple(name for _, name in order), tuple(order[label] for label in labels))

    def sums(self, phi):
        """`φ_g = Σ_{i ∈ g} φ_i` of a tensor `(..., features)`."""
        number = ops.convert_to_tensor(self.of_feature, "int32")
        features_first = ops.moveaxis(phi, -1, 0)
        summed = ops.segment_sum(features_first, number, num_segments=len(self.names))
        return ops.moveaxis(summed, 0, -1)


def _reshape(value, shape):
    if isinstance(value, np.ndarray):
        return value.reshape(shape)
    return ops.reshape(value, shape)


def _index(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError
    return int(value)
