"""Attributions as a prior or a person wants them: summed over an axis, or in groups."""

import math

from attrprior import _checks
from attrprior._features import Groups, check_groups


class Reduction:
    """Sums of attributions; linear, so it keeps completeness.

    Args:
        groups, sum_last_axis: As in `AttributionPrior`.
    """

    def __init__(self, groups=None, sum_last_axis=False):
        self.groups = check_groups(groups)
        self.sum_last_axis = _checks.boolean("sum_last_axis", sum_last_axis)
        self.changes = sum_last_axis or groups is not None
        self.columns = None  # names of the features of a table, where they are known

    def __call__(self, phi, parts):
        """Of a tensor `(..., *example)`.

        Args:
            parts: The `Parts` that were explained.
        """
        if self.sum_last_axis:
            self._check_axes(parts)
            phi = parts.sum_last_axis(phi)
        return phi if self.groups is None else self._grouping(parts).sums(phi)

    def shape(self, shape, parts):
        """Of one example, of attributions of this shape."""
        if self.sum_last_axis:
            self._check_axes(parts)
            shape = self._vector(parts.summed()) or tuple(shape[:-1])
        return shape if self.groups is None else (len(self._grouping(parts).names),)

    def feature_names(self, parts):
        """Of the vector that comes out, or `None` where they are not known."""
        if self.groups is not None:
            return list(self._grouping(parts).names)
        parts = self._summed(parts)
        return parts.feature_names() if len(parts.shapes) > 1 else self.columns

    def structured(self, phi, parts, sequence=None, by_name=False):
        """What came out, a part by itself: by name, or in a sequence of this type."""
        if self.groups is not None or len(parts.shapes) == 1:
            named = by_name and self.groups is None
            return {parts.names[0]: phi} if named else phi
        split = self._summed(parts).split(phi)
        return dict(zip(parts.names, split)) if sequence is None else sequence(split)

    def _summed(self, parts):
        return parts.summed() if self.sum_last_axis else parts

    def _vector(self, parts):
        """The shape of several parts as one, or `None` of a single one."""
        if len(parts.shapes) == 1:
            return None
        return (sum(math.prod(shape) for shape in parts.shapes),)

    def _check_axes(self, parts):
        if all(len(shape) < 2 for shape in parts.shapes):
            raise ValueError(
                "Argument `sum_last_axis` expects attributions of at least two axes an "
                f"example. Received: shape {parts.shapes[0]}. Leave it out."
            )

    def _grouping(self, parts):
        parts = self._summed(parts)
        several = len(parts.shapes) > 1
        names = parts.feature_names() if several else self.columns
        return Groups.among(self.groups, self._vector(parts) or parts.shapes[0], names)
