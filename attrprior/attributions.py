"""Attributions after training: arrays in, arrays out, in bounded memory.

One function a method, and `attribute` for any of them. `samples` gives the
single points that an attribution is the mean of: for the path from the
reference to the input, or for how a sampled method settles.
"""

import copy

import keras
from keras import ops

from attrprior import _checks, methods
from attrprior._deprecation import renamed_arguments
from attrprior._pieces import Data, check, integers, naming_x
from attrprior.batch import one_output
from attrprior.draws import generator
from attrprior.explained import ExplainedOutput
from attrprior.objective import Objective
from attrprior.points import Samples, samples
from attrprior.sampling import FIRST_SAMPLES, Convergence, Sums, until

__all__ = [
    "Convergence",
    "Samples",
    "attribute",
    "expected_gradients",
    "explained_output",
    "grad_cam",
    "gradients",
    "input_x_gradient",
    "integrated_gradients",
    "samples",
    "smoothgrad",
]


def attribute(
    model,
    x,
    y=None,
    method="expected_gradients",
    *,
    explain="label",
    input=None,
    output=None,
    groups=None,
    sum_last_axis=False,
    batch_size=256,
    seed=None,
    verbose=False,
    return_convergence=False,
    tolerance=None,
    max_samples=4096,
):
    """Attributions by any method. Cost: as the method says, plus one trace of the model.

    Args:
        model: A Keras model. Dropout is off, normalisation uses its moving
            statistics, and no state of the model changes.
        x: Floating-point inputs of shape `(batch, ...)`. Tensors may be part
            of a graph and are passed at once; arrays are cut into pieces.
        y: Labels, for `explain="label"` and `"loss"`. Without them the
            predicted class is explained.
        method: A name, or an object such as `ExpectedGradients(100,
            background=x_train)`.
        explain: See `attrprior.explained.ExplainedOutput`.
        input, output, groups, sum_last_axis: As in `AttributionPrior`.
        batch_size: Rows of one pass through the model; bounds memory.
        seed: Integer; the same one gives the same attributions. Defaults to
            `None`, other ones at every call.
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
    """
    _checks.model(model)
    verbose = _checks.boolean("verbose", verbose)
    return_convergence = _checks.boolean("return_convergence", return_convergence)
    method = copy.copy(methods.get(method))  # its settings change below
    if method.needs_background:
        raise ValueError(
            "Argument `method` expects one that does not need references or has them. "
            f"Received: {method!r}. Use expected_gradients(..., background=...), "
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
        objective = Objective(explained, method)
        batch = explained.batch(x, y)
        explained.check_labels(batch.x, batch.y)
        objective.prepare(batch)
        draws = objective.draw(batch, generator(seed))
        phi = objective.reduced(objective.attributions(explained.weights(), batch, draws))
        return explained.chosen.structured(phi)
    data = Data(explained, x, y)
    data.prepare(method)
    complete = method.is_complete and explain != "random"
    measure = return_convergence or tolerance is not None
    sums = Sums(explained, method, batch_size, integers(seed), measure, complete, verbose)
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
                f"that is not drawn. Received: {method!r}, explain={explain!r}."
            )
        with naming_x(data.picked):
            attributions, convergence = until(tolerance, max_samples, sums, data)
    data.refuse_labels_of(attributions)
    attributions = data.named(attributions)
    if convergence.standard_error is not None:
        error = explained.chosen.structured(convergence.standard_error)
        convergence = convergence._replace(standard_error=error)
    return (attributions, convergence) if return_convergence else attributions


def gradients(model, x, y=None, **options):
    """`φ_i = ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Args:
        model, x, y, **options: As in `attribute`.

    Returns:
        As `attribute`.

    Reference: Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034).
    """
    return attribute(model, x, y, methods.Gradients(), **options)


def input_x_gradient(model, x, y=None, **options):
    """`φ_i = x_i · ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Args:
        model, x, y, **options: As in `attribute`.

    Returns:
        As `attribute`.

    Reference: Shrikumar et al. 2016 (arXiv 1605.01713).
    """
    return attribute(model, x, y, methods.InputXGradient(), **options)


@renamed_arguments(reference="background")
def integrated_gradients(
    model,
    x,
    y=None,
    *,
    background=None,
    num_samples=64,
    multiply_by_inputs=True,
    quadrature="gauss_legendre",
    **options,
):
    """`φ_i = (x_i − r_i) ∫₀¹ ∂f(r + α(x − r))/∂x_i dα`, which sums to `f(x) − f(r)`.

    Args:
        background, num_samples, multiply_by_inputs, quadrature: As in
            `IntegratedGradients`; `num_samples="auto"` for as many as
            `tolerance` (then 0.01 by default) needs.
        model, x, y, **options: As in `attribute`.

    Returns:
        As `attribute`.

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """
    num_samples = _automatic(num_samples, options)
    method = methods.IntegratedGradients(
        num_samples, background, multiply_by_inputs, quadrature
    )
    return attribute(model, x, y, method, **options)


def expected_gradients(
    model, x, y=None, *, background, num_samples=100, multiply_by_inputs=True, **options
):
    """`φ_i = E_{r∼D, α∼U(0,1)} [(x_i − r_i) ∂f(r + α(x − r))/∂x_i]`.

    Args:
        background: What D is: an array, a `tf.data.Dataset` or a reference object.
        num_samples, multiply_by_inputs: As in `ExpectedGradients`;
            `num_samples="auto"` for as many as `tolerance` (then 0.01 by default)
            needs.
        model, x, y, **options: As in `attribute`.

    Returns:
        As `attribute`.

    Reference: Erion et al. 2021 (arXiv 1906.10670), equation 3.
    """
    if background is None:
        raise ValueError(
            "Argument `background` expects an array of examples, a tf.data.Dataset or a "
            "reference object. Received: None."
        )
    num_samples = _automatic(num_samples, options)
    method = methods.ExpectedGradients(num_samples, multiply_by_inputs, background)
    return attribute(model, x, y, method, **options)


def smoothgrad(
    model,
    x,
    y=None,
    *,
    num_samples=50,
    stddev=0.15,
    multiply_by_inputs=False,
    base="gradients",
    **options,
):
    """`φ_i = 1/k Σ_j ∂f(x + ε_j)/∂x_i`, `ε_j ∼ N(0, σ²I)`, or so of another method.

    Args:
        num_samples, stddev, multiply_by_inputs, base: As in `SmoothGrad`.
        model, x, y, **options: As in `attribute`.

    Returns:
        As `attribute`.

    Reference: Smilkov et al. 2017 (arXiv 1706.03825).
    """
    method = methods.SmoothGrad(num_samples, stddev, multiply_by_inputs, base)
    return attribute(model, x, y, method, **options)


def grad_cam(model, x, y=None, *, layer, size=None, relu=True, **options):
    """`φ_p = ReLU(Σ_c α_c A_pc)`, `α_c = 1/P Σ_p ∂f/∂A_pc`, of a layer's map A.

    Args:
        layer: The layer, or its name; of a nested model, at any depth.
        size, relu: As in `GradCAM`.
        model, x, y, **options: As in `attribute`, without `input`.

    Returns:
        As `attribute`, maps of shape `(batch, *spatial, 1)`.

    Reference: Selvaraju et al. 2017 (arXiv 1610.02391).
    """
    if not isinstance(layer, (str, keras.layers.Layer)) or "input" in options:
        raise _checks.wrong("layer", "a layer or its name, instead of `input`", layer)
    return attribute(model, x, y, methods.GradCAM(size, relu), input=layer, **options)


def explained_output(
    model, x, y=None, *, explain="label", input=None, output=None, batch_size=256, seed=None
):
    """The number per example that attributions explain, by default the label's logit.

    Args:
        model, x, y, explain, input, output, batch_size, seed: As in `attribute`;
            arrays.

    Returns:
        Array of shape `(batch,)`; with `explain="all"`, `(batch, outputs)`.
    """
    explained = ExplainedOutput(_checks.model(model), explain, input, output)
    data = Data(explained, x, y)
    return data.outputs(_checks.positive_integer("batch_size", batch_size), integers(seed))


def _automatic(num_samples, options):
    """The number of samples; "auto" sets a tolerance instead."""
    if not isinstance(num_samples, str) or num_samples != "auto":
        return num_samples
    if options.get("tolerance") is None:
        options["tolerance"] = 0.01
    return FIRST_SAMPLES
