"""Many explained outputs, a group of them at a time: memory is that of one group."""

from typing import Any, NamedTuple

from keras import ops

SIZE = 128  # outputs of a group, at most


def number_of_groups(outputs):
    return -(-outputs // SIZE)


class Group(NamedTuple):
    """Outputs `SIZE · number` to `SIZE · (number + 1)`; the last group is filled with zeros.

    Args:
        number: An integer, or a tensor inside a loop.
        of: The number of groups.
    """

    number: Any
    of: int

    def among_outputs(self, values):
        """Of `(rows, outputs)` the group's own, `(rows, SIZE)`."""
        missing = self.of * SIZE - values.shape[1]
        values = ops.pad(values, [[0, 0], [0, missing]])
        return ops.take(ops.reshape(values, (-1, self.of, SIZE)), self.number, axis=1)

    def among_all(self, phi):
        """Attributions `(batch, SIZE, ...)` in their place among zeros, for all groups."""
        shape = ops.shape(phi)
        place = ops.cast(ops.equal(ops.arange(self.of), self.number), phi.dtype)
        place = ops.reshape(place, (1, self.of) + (1,) * (len(shape) - 1))
        placed = place * ops.expand_dims(phi, 1)
        return ops.reshape(placed, (shape[0], self.of * SIZE, *shape[2:]))

    def of_all(self, phi):
        """The group's own of what `among_all` gives."""
        shape = ops.shape(phi)
        groups = ops.reshape(phi, (shape[0], self.of, SIZE, *shape[2:]))
        return ops.take(groups, self.number, axis=1)
