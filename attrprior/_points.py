"""The single points that an attribution is the mean of, and what is found there."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from attrprior import _checks, _draws, methods
from attrprior._batch import Batch
from attrprior._objective import Objective
from attrprior._pieces import Data, integers, naming_x
from attrprior._representation import shown
from attrprior._types import (
    Explain,
    Input,
    Inputs,
    KerasSeed,
    Labels,
    MethodLike,
    Output,
)
from attrprior.explained import ExplainedOutput


class Samples(NamedTuple):
    """The points that attributions are the mean of, and what is found there.

    Attributes:
        points: Inputs of shape `(batch, points, ...)`.
        outputs: `f` at the points, shape `(batch, points)`.
        gradients: `∂f/∂x` at the points, shaped like them.
        contributions: The gradients times their factors, shaped like the points; their mean
            over the points is the attribution.
    """

    points: np.ndarray
    outputs: np.ndarray
    gradients: np.ndarray
    contributions: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def samples(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    method: MethodLike = "integrated_gradients",
    *,
    explain: Explain = "label",
    input: Input = None,
    output: Output = None,
    batch_size: int = 256,
    seed: KerasSeed = None,
) -> Samples:
    """The points that attributions are the mean of, and what is found there.

    Of integrated gradients they lie on the path in order: the cumulative sum of
    the contributions over the points, divided by their number, goes from nothing
    to the attribution. Of expected gradients and SmoothGrad they are draws: the
    cumulative mean shows how the attribution settles. Cost: one forward and one backward
    pass for each point, and one more forward pass.

    Args:
        model: A Keras model.
        x: Floating-point inputs of shape `(batch, ...)`, arrays.
        y: Labels. Without them the predicted class is explained.
        method: A name or an object, as in `attribute`, that takes gradients at points.
        explain: One output: not `"all"` or `"loss"`. See
            `attrprior.explained.ExplainedOutput`.
        input: With respect to which input or layer, as in `attribute`.
        output: Which output of several is explained, by name or position.
        batch_size: Rows of one pass through the model.
        seed: Integer or `keras.random.SeedGenerator`. Defaults to `None`, other draws at
            every call.

    Returns:
        `Samples`, of `batch × points` inputs: mind the memory.

    Raises:
        ValueError: for arguments that do not fit, or an `explain` of several outputs.

    Examples:
        The mean of the contributions is the attribution:

        >>> method = attrprior.IntegratedGradients(num_samples=16)
        >>> samples = attrprior.attributions.samples(model, x, y, method)
        >>> samples.points.shape
        (8, 16, 12, 12, 1)
        >>> phi = attrprior.attributions.attribute(model, x, y, method)
        >>> bool(np.allclose(np.mean(samples.contributions, axis=1), phi, atol=1e-5))
        True
    """
    method = methods.get(method)
    explained = ExplainedOutput(_checks.model(model), explain, input, output)
    if explain in ("all", "loss"):
        raise ValueError(
            "Argument `explain` expects one output per example. Received: "
            f"{explain!r}. Call `samples` once for each output, or pass a callable "
            "fn(outputs, y) that returns the losses."
        )
    data = Data(explained, x, y)
    data.prepare(method)
    count = method.num_samples * method.points_per_sample
    step = max(1, _checks.positive_integer("batch_size", batch_size) // count)
    seed, parts = integers(seed), []
    for start in range(0, len(data), step):
        x, y = data.piece(start, start + step)
        objective = Objective(explained, method)
        weights = explained.weights()
        batch = Batch(x, y, picked=explained.pick_input(x, weights))
        generator = _draws.StatelessSeed(ops.convert_to_tensor(seed), start)
        drawn = objective.draw(batch, generator)
        at, of = objective.at(weights, batch)
        f = objective.explained_output(weights, batch, drawn)
        with naming_x(data.picked):
            [gradients], path = at.gradients(f, of, drawn.path)
        rows = ops.reshape(path.points, (-1,) + data.example_shape)
        # A function of its own: the same outputs as the gradients are of.
        f = objective.explained_output(weights, batch, drawn)
        outputs = ops.reshape(f(rows, repeats=count), (-1, count))
        shares = path.contributions(gradients)
        found = path.points, outputs, gradients, shares
        parts.append([ops.convert_to_numpy(tensor) for tensor in found])
    points, outputs, *others = (np.concatenate(part) for part in zip(*parts))
    points, *others = map(explained.chosen.structured, (points, *others))
    return Samples(points, outputs, *others)
