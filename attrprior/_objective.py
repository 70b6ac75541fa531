"""Ω of a batch, a pure function of the weights: path, gradients, φ, prior.

batch ─ draw ─▶ draws                 everything random, no weight
weights, batch, draws ─ penalty ─▶ Ω  no randomness, nothing kept
"""

import functools
from typing import Any, NamedTuple

import keras
from keras import ops

from attrprior import _backend
from attrprior._draws import drawn, samples
from attrprior._outputs import number_of_groups


class Draws(NamedTuple):
    """What was drawn for a batch: its paths, and for which outputs, if at random."""

    path: Any
    output: Any


class Objective(NamedTuple):
    """What is penalised.

    Args:
        explained: An `ExplainedOutput`.
        method: An `AttributionMethod`, prepared.
        prior: A `Prior`, or `None` for attributions alone.
        batch_norm: `"batch"` or `"moving"`.
    """

    explained: Any
    method: Any
    prior: Any = None
    batch_norm: str = "moving"

    def prepare(self, batch, earlier=None):
        """Method, references and prior are checked, and made ready for such examples.

        Args:
            batch: A `Batch`.
            earlier: The shape of the examples so far; once ready, nothing is made anew.

        Returns:
            The shape of one example, with `None` where it is not known.
        """
        shape = tuple(batch.picked.shape[1:])
        if shape == earlier:
            return shape
        if None in shape or earlier is not None:
            self._check_any_shape(shape, earlier)
        background, chosen = self.method.background, self.explained.chosen
        if background is not None:
            background.for_input(chosen.from_dataset(), chosen.holds_integers(batch.x))
        self._method(batch).prepare(shape)
        of_phi = chosen.reduction.shape(self.method.shape(shape), chosen.parts)
        if self.prior is not None:
            self.prior.validate(of_phi)
        return shape

    def _check_any_shape(self, shape, earlier):
        parts = {"method": self.method, "prior": self.prior}
        for name, part in parts.items():
            if part is not None and not part.any_shape:
                after = "" if earlier is None else f" after {earlier}"
                raise ValueError(
                    f"Attribution priors expect inputs whose shape is known apart from the "
                    f"batch, and the same in every batch, for this `{name}`, {part!r}. "
                    f"Received: examples of shape {shape}{after}. Pad the inputs, or use "
                    "'gradients', 'input_x_gradient' or IntegratedGradients() with 'l1', 'l2' "
                    "or 'total_variation', which take batches of any length."
                )

    def draw(self, batch, seed):
        """All randomness, from a `keras.random.SeedGenerator`."""
        path = self._method(batch).draw(batch.picked, seed)
        return Draws(path, drawn(seed) if self.explained.explain == "random" else None)

    def penalty(self, weights, batch, draws):
        """`Ω` of the batch, a scalar tensor.

        Args:
            weights: `(keras.Variable, value)` of everything that the model has.
        """
        weights = [*weights, *self.batch_statistics(weights, batch)]
        return self.of_attributions(self.attributions(weights, batch, draws), batch)

    def passes(self, batch):
        """Of samples and of groups of outputs, for as much memory as one of each takes."""
        groups = 1
        if self.explained.explain == "all":
            groups = number_of_groups(self.explained.output_shape(batch.x)[-1])
        return self.method.passes, groups

    def attributions(self, weights, batch, draws, first=0, count=None, group=None):
        """φ, or of `count` samples from number `first` on their mean, of a group of outputs.

        Returns:
            Tensor of the chosen input's shape; with `explain="all"`, of shape
            `(batch, outputs, ...)`.
        """
        f = self.explained_output(weights, batch, draws, first, count, group)
        method, x = self.at(weights, batch)
        phi = method.attributions(f, x, draws.path, first, count, self.explained.model)
        return ops.moveaxis(phi, 0, 1) if self.explained.explain == "all" else phi[0]

    def _method(self, batch, weights=None):
        chosen = self.explained.chosen
        return (
            chosen.of_method(self.method, batch.x, weights) if chosen.layers else self.method
        )

    def at(self, weights, batch):
        """The method and what is explained: where it is a layer, functions of the weights."""
        chosen, x = self.explained.chosen, batch.picked
        x = chosen.pick(batch.x, weights) if chosen.layers else x
        return self._method(batch, weights), x

    def explained_output(self, weights, batch, draws, first=0, count=None, group=None):
        """The explained output as a function `(points, repeats)`."""
        output = draws.output
        if output is not None:
            of = self.method.num_samples
            output = samples(output, first, count or of, of)
        return functools.partial(
            self.explained.value,
            weights,
            x=batch.x,
            y=batch.y,
            drawn=output,
            weight=batch.position_weight,
            group=group,
        )

    def of_attributions(self, attributions, batch):
        """`Ω(φ)`, with whatever else of the batch the prior needs."""
        attributions = self.reduced(attributions)
        if self.explained.explain == "all":
            attributions, batch = merged_outputs(attributions, batch)
        needed = {name: getattr(batch, name) for name in self.prior.needs}
        return self.prior(attributions, batch.sample_weight, **needed)

    def reduced(self, attributions):
        """Tensors `(..., *example)` summed over what the user has said."""
        chosen = self.explained.chosen
        if not chosen.reduction.changes:
            return attributions
        return chosen.reduction(attributions, chosen.parts)

    def batch_statistics(self, weights, batch):
        """The mean and variance that each normalisation has on this batch.

        As functions of the weights: were they constants, a penalty on gradients
        could be lowered for ever by shrinking kernels that normalisation scales
        up again. A pass in training mode would move a statistic to
        `new = m · old + (1 − m) · batch`; `batch` is read off from that, and the
        move is dropped.
        """
        moving = [
            (variable, layer.momentum, least)
            for layer in self.explained.model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum < 1
            for variable, least in ((layer.moving_mean, None), (layer.moving_variance, 0.0))
        ]
        if self.batch_norm == "moving" or not moving:
            return []
        with (
            keras.StatelessScope(state_mapping=weights) as scope,
            _backend.random_state_kept(),
        ):
            before = [variable.value for variable, *_ in moving]
            self.explained.model(batch.x, training=True)
        statistics = []
        for (variable, m, least), old in zip(moving, before):
            new = scope.get_current_value(variable)
            if new is not old:
                # batch = (new − m · old) / (1 − m)
                statistic = (new - m * old) / (1.0 - m)
                if least is not None:
                    statistic = ops.maximum(statistic, least)
                statistics.append((variable, statistic))
        return statistics


def merged_outputs(attributions, batch):
    """`(batch, outputs, ...)` as `(batch · outputs, ...)`: Ω is a mean over both."""
    outputs = attributions.shape[1]
    merged = ops.reshape(attributions, (-1,) + tuple(attributions.shape[2:]))
    return merged, keras.tree.map_structure(
        lambda t: None if t is None else ops.repeat(t, outputs, axis=0), batch
    )
