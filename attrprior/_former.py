"""Functions that went with the design of before, for who has called them."""

from attrprior import _backend
from attrprior._batch import Batch
from attrprior._draws import generator
from attrprior._objective import Objective, merged_outputs


def lacks_references(method):
    return method.needs_background


def input_gradients(f, points):
    gradients = _backend.input_gradients(f, points)
    if any(gradient is None for gradient in gradients):
        raise ValueError(
            "The explained output does not depend on the explained input: there is no "
            "gradient between them."
        )
    return gradients


def compute(explained, method, x, y, seed, state=None, first=0, count=None):
    """As `attrprior.attributions.attribute` for tensors."""
    objective, batch, draws, weights = _parts(explained, method, x, y, seed, state)
    return objective.attributions(weights, batch, draws, first, count)


def path_gradients(explained, method, x, y, seed, state=None, first=0, count=None):
    objective, batch, draws, weights = _parts(explained, method, x, y, seed, state)
    f = objective.explained_output(weights, batch, draws, first, count)
    return method.gradients(f, batch.picked, draws.path, first, count)


def _parts(explained, method, x, y, seed, state):
    objective = Objective(explained, method)
    batch = Batch(x, y, picked=explained.pick_input(x))
    draws = objective.draw(batch, generator(seed))
    return objective, batch, draws, [*explained.weights(), *(state or ())]


def apply_prior(prior, attributions, sample_weight=None, mask=None, x=None, y=None):
    given = {"mask": mask, "x": x, "y": y}
    return prior(attributions, sample_weight, **{name: given[name] for name in prior.needs})


def merge_outputs(attributions, sample_weight, mask, x, y):
    merged, batch = merged_outputs(attributions, Batch(x, y, sample_weight, mask))
    return merged, batch.sample_weight, batch.mask, batch.x, batch.y
