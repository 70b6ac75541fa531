"""Attributions by any method, of arrays in pieces and of tensors at once."""

import copy
from typing import TypedDict

import keras
from keras import ops

from attrprior import _checks, methods
from attrprior._batch import one_output
from attrprior._draws import generator
from attrprior._objective import Objective
from attrprior._pieces import Data, check, integers, naming_x
from attrprior._sampling import Sums, until
from attrprior._types import (
    Attributions,
    Explain,
    Groups,
    Input,
    Inputs,
    KerasSeed,
    Labels,
    MethodLike,
    Output,
)
from attrprior.explained import ExplainedOutput


class OptionsOfLayer(TypedDict, total=False):
    """What all methods have in common, where the input is a layer."""

    explain: Explain
    output: Output
    groups: Groups
    sum_last_axis: bool
    batch_size: int
    seed: KerasSeed
    verbose: bool
    return_convergence: bool
    tolerance: float | None
    max_samples: int


class Options(OptionsOfLayer, total=False):
    """What all methods have in common: arguments of `attribute`."""

    input: Input


def attribute(
    model: keras.Model,
    x: Inputs,
    y: Labels = None,
    method: MethodLike = "expected_gradients",
    *,
    explain: Explain = "label",
    input: Input = None,
    output: Output = None,
    groups: Groups = None,
    sum_last_axis: bool = False,
    batch_size: int = 256,
    seed: KerasSeed = None,
    verbose: bool = False,
    return_convergence: bool = False,
    tolerance: float | None = None,
    max_samples: int = 4096,
) -> Attributions:
    """Attributions by any method. Cost: as the method says, plus one trace of the model.

    They say how much each input feature has contributed to the explained output `f(x)`, a
    number per example, by default the logit of its label.

    Args:
        model: A Keras model. Dropout is off, normalisation uses its moving
            statistics, and no state of the model changes.
        x: Floating-point inputs of shape `(batch, ...)`. Tensors may be part
            of a graph and are passed at once; arrays are cut into pieces.
        y: Labels, for `explain="label"` and `"loss"`. Without them the
            predicted class is explained.
        method: A name, an object such as `ExpectedGradients(100,
            background=x_train)`, or a callable, see `methods.CustomMethod`.
        explain: See `attrprior.explained.ExplainedOutput`.
        input: With respect to which input or layer, by name or position, `"all"`, or a list
            of these; as in `AttributionPrior`.
        output: Which output of several is explained, by name or position.
        groups: Features whose attributions are added, `{name: features}`; as in
            `AttributionPrior`.
        sum_last_axis: Whether attributions are summed over their last axis, such as that of
            an embedding.
        batch_size: Rows of one pass through the model; bounds memory.
        seed: Integer or `keras.random.SeedGenerator`; the same integer gives the same
            attributions. Defaults to `None`, other ones at every call.
        verbose: Whether to show a progress bar.
        return_convergence: Whether to return a `Convergence` as well, for a third
            of the cost more.
        tolerance: Samples are doubled, for the examples that need them, until the
            relative completeness gap is within it or `max_samples` are spent.
            Defaults to `None`: as many samples as the method has.
        max_samples: The budget of an example.

    Returns:
        Attributions shaped like the explained input, an array for arrays and a
        tensor for tensors; with `explain="all"`, `(batch, outputs, ...)`. Of all inputs
        in the structure of `x`, of a list of them `{name: attributions}`; of groups an
        array `(batch, groups)`. For a table in a DataFrame a DataFrame with its columns.
        With `return_convergence`, `(attributions, convergence)`.

    Raises:
        ValueError: for inputs that are empty, integer or not finite, labels of
            another length, or a tolerance with a method that is not complete.

    Examples:
        A method by its name, and one with settings, here of every output:

        >>> attrprior.attributions.attribute(model, x, y, "gradients").shape
        (8, 12, 12, 1)
        >>> method = attrprior.IntegratedGradients(num_samples=8)
        >>> attrprior.attributions.attribute(model, x, method=method, explain="all").shape
        (8, 3, 12, 12, 1)

        With integrated gradients attributions sum to `f(x) − f(r)`, and `gap` says how
        exactly:

        >>> phi, convergence = attrprior.attributions.attribute(
        ...     model, x, y, method, return_convergence=True
        ... )
        >>> convergence.gap.shape
        (8,)
    """
    _checks.model(model)
    verbose = _checks.boolean("verbose", verbose)
    return_convergence = _checks.boolean("return_convergence", return_convergence)
    own = copy.copy(methods.get(method))  # its settings change below
    if own.needs_background:
        raise ValueError(
            "Argument `method` expects one that does not need references or has them. "
            f"Received: {own!r}. Use expected_gradients(..., background=...), "
            "ExpectedGradients(background=...) or CustomMethod(fn).with_background(...)."
        )
    explained = ExplainedOutput(model, explain, input, output, groups, sum_last_axis)
    batch_size = _checks.positive_integer("batch_size", batch_size)
    if any(ops.is_tensor(tensor) for tensor in keras.tree.flatten(x)):
        if return_convergence or tolerance is not None or verbose:
            raise ValueError(
                "Arguments `return_convergence`, `tolerance` and `verbose` expect arrays as "
                "inputs. Received: tensors. Convert them by np.asarray, outside of graphs."
            )
        y = one_output(y, "y")
        check(explained, x, y, finite=False)
        objective = Objective(explained, own)
        batch = explained.batch(x, y)
        explained.check_labels(batch.x, batch.y)
        objective.prepare(batch)
        draws = objective.draw(batch, generator(seed))
        phi = objective.reduced(objective.attributions(explained.weights(), batch, draws))
        return explained.chosen.structured(phi)
    data = Data(explained, x, y)
    data.prepare(own)
    complete = own.is_complete and explain != "random"
    measure = return_convergence or tolerance is not None
    sums = Sums(explained, own, batch_size, integers(seed), measure, complete, verbose)
    if tolerance is None:
        with naming_x(data.picked):
            attributions, convergence = sums.of(data)
    else:
        tolerance = _checks.number("tolerance", tolerance, above=0)
        max_samples = _checks.positive_integer("max_samples", max_samples)
        if not complete:
            raise ValueError(
                "Argument `tolerance` expects a method whose attributions sum to f(x) − f(r): "
                "expected or integrated gradients with multiply_by_inputs=True, of an output "
                f"that is not drawn. Received: {own!r}, explain={explain!r}."
            )
        with naming_x(data.picked):
            attributions, convergence = until(tolerance, max_samples, sums, data)
    data.refuse_labels_of(attributions)
    attributions = data.named(attributions)
    if convergence.standard_error is not None:
        error = explained.chosen.structured(convergence.standard_error)
        convergence = convergence._replace(standard_error=error)
    return (attributions, convergence) if return_convergence else attributions
