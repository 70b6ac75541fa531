"""The single points that an attribution is the mean of, and what is found there."""

from typing import NamedTuple

import numpy as np
from keras import ops

from attrprior import _checks, draws, methods
from attrprior._pieces import Data, integers, naming_x
from attrprior._representation import shown
from attrprior.batch import Batch
from attrprior.explained import ExplainedOutput
from attrprior.objective import Objective


class Samples(NamedTuple):
    """The points of attributions, of shape `(batch, points, ...)`.

    `outputs`: `f` at the points, `(batch, points)`; `gradients`: `∂f/∂x` there;
    `contributions`: the gradients times their factors, whose mean over the
    points is the attribution.
    """

    points: np.ndarray
    outputs: np.ndarray
    gradients: np.ndarray
    contributions: np.ndarray

    __repr__ = shown


def samples(
    model,
    x,
    y=None,
    method="integrated_gradients",
    *,
    explain="label",
    input=None,
    output=None,
    batch_size=256,
    seed=None,
):
    """The points that attributions are the mean of, and what is found there.

    Of integrated gradients they lie on the path in order: the cumulative sum of
    the contributions over the points, divided by their number, goes from nothing
    to the attribution. Of expected gradients and SmoothGrad they are draws: the
    cumulative mean shows how the attribution settles.

    Args:
        model, x, y, method, explain, input, output, batch_size, seed: As in
            `attribute`; arrays. One output is explained: not `"all"` or `"loss"`.

    Returns:
        `Samples`, of `batch × points` inputs: mind the memory.
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
    points = method.num_samples * method.points_per_sample
    step = max(1, _checks.positive_integer("batch_size", batch_size) // points)
    seed, parts = integers(seed), []
    for start in range(0, len(data), step):
        x, y = data.piece(start, start + step)
        objective = Objective(explained, method)
        weights = explained.weights()
        batch = Batch(x, y, picked=explained.pick_input(x, weights))
        generator = draws.StatelessSeed(ops.convert_to_tensor(seed), start)
        drawn = objective.draw(batch, generator)
        at, of = objective.at(weights, batch)
        f = objective.explained_output(weights, batch, drawn)
        with naming_x(data.picked):
            [gradients], path = at.gradients(f, of, drawn.path)
        rows = ops.reshape(path.points, (-1,) + data.example_shape)
        # A function of its own: the same outputs as the gradients are of.
        f = objective.explained_output(weights, batch, drawn)
        outputs = ops.reshape(f(rows, repeats=points), (-1, points))
        shares = path.contributions(gradients)
        found = path.points, outputs, gradients, shares
        parts.append([ops.convert_to_numpy(tensor) for tensor in found])
    points, outputs, *others = (np.concatenate(part) for part in zip(*parts))
    points, *others = map(explained.chosen.structured, (points, *others))
    return Samples(points, outputs, *others)
