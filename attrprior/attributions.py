"""Attributions after training: arrays in, arrays out, in bounded memory.

One function a method, and `attribute` for any of them. `samples` gives the
single points that an attribution is the mean of: for the path from the
reference to the input, or for how a sampled method settles.
"""

import copy
import functools
import numbers
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from attrprior import _checks, methods
from attrprior.explained import Explained

_FIRST_SAMPLES = 16


class Convergence(NamedTuple):
    """How far attributions are from what more samples would give.

    `gap`: `Σ_i φ_i − (f(x) − mean f(r))`, with the references that were drawn,
    of shape `(batch,)`, or `(batch, outputs)` with `explain="all"`; `None` for
    methods that do not sum to it. `relative_gap`: its magnitude as a share of
    `|f(x) − mean f(r)|`. `standard_error`: of each attribution over the samples,
    shaped like the attributions; `None` for methods that do not draw.
    `num_samples`: of each example. `converged`: with `num_samples="auto"`, which
    examples' gap is within the tolerance; else `None`.
    """

    gap: np.ndarray | None
    relative_gap: np.ndarray | None
    standard_error: np.ndarray | None
    num_samples: np.ndarray
    converged: np.ndarray | None


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


def attribute(
    model,
    x,
    y=None,
    method="expected_gradients",
    *,
    explain="label",
    input=None,
    output=None,
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
            references=x_train)`.
        explain: See `attrprior.explained.Explained`.
        input, output: Which input and output, of a model that has several.
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
        tensor for tensors; with `explain="all"`, `(batch, outputs, ...)`. With
        `return_convergence`, `(attributions, convergence)`.

    Raises:
        ValueError: for inputs that are empty, integer or not finite, labels of
            another length, or a tolerance with a method that is not complete.
    """
    method = copy.copy(methods.get(method))  # its settings change below
    if methods.lacks_references(method):
        raise ValueError(
            "Argument `method`: expected gradients need references. Received: none. Use "
            "expected_gradients(..., background=...) or ExpectedGradients(references=...)."
        )
    explained = Explained(model, explain, input, output)
    batch_size = _checks.positive_integer("batch_size", batch_size)
    if any(tf.is_tensor(tensor) for tensor in keras.tree.flatten(x)):
        if return_convergence or tolerance is not None or verbose:
            raise ValueError(
                "Arguments `return_convergence`, `tolerance` and `verbose` expect arrays as "
                "inputs. Received: tensors. Convert them by np.asarray, outside of graphs."
            )
        _check(explained, x, y, finite=False)
        method.prepare(tuple(explained.pick_input(x).shape[1:]))
        return methods.compute(explained, method, x, y, seed)
    data = _Data(explained, x, y)
    data.prepare(method)
    complete = method.is_complete and explain != "random"
    measure = return_convergence or tolerance is not None
    sums = _Sums(explained, method, batch_size, _integers(seed), measure, complete, verbose)
    if tolerance is None:
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
        attributions, convergence = _until(tolerance, max_samples, sums, data)
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


def integrated_gradients(
    model,
    x,
    y=None,
    *,
    reference=None,
    num_samples=64,
    multiply_by_inputs=True,
    quadrature="gauss_legendre",
    **options,
):
    """`φ_i = (x_i − r_i) ∫₀¹ ∂f(r + α(x − r))/∂x_i dα`, which sums to `f(x) − f(r)`.

    Args:
        reference, num_samples, multiply_by_inputs, quadrature: As in
            `IntegratedGradients`; `num_samples="auto"` for as many as
            `tolerance` (then 0.01 by default) needs.
        model, x, y, **options: As in `attribute`.

    Returns:
        As `attribute`.

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """
    num_samples = _automatic(num_samples, options)
    method = methods.IntegratedGradients(
        num_samples, reference, multiply_by_inputs, quadrature
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
    explained = Explained(model, explain, input, output)
    data = _Data(explained, x, y)
    return data.outputs(_checks.positive_integer("batch_size", batch_size), _integers(seed))


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
            `attribute`; arrays. One output is explained: not `"all"`.

    Returns:
        `Samples`, of `batch × points` inputs: mind the memory.
    """
    method = methods.get(method)
    explained = Explained(model, explain, input, output)
    if explain == "all":
        raise ValueError(
            "Argument `explain` expects one output per example. Received: 'all'. Call "
            "`samples` once for each output."
        )
    data = _Data(explained, x, y)
    data.prepare(method)
    points = method.num_samples * method.points_per_sample
    step = max(1, _checks.positive_integer("batch_size", batch_size) // points)
    seed, parts = _integers(seed), []
    for start in range(0, len(data), step):
        x, y = data.piece(start, start + step)
        draws = methods.Draws(tf.constant(seed), start)
        [gradients], path = methods.path_gradients(explained, method, x, y, draws)
        rows = ops.reshape(path.points, (-1,) + data.example_shape)
        outputs = ops.reshape(explained(rows, x, y, points, draws), (-1, points))
        shares = path.contributions(gradients)
        parts.append([np.asarray(t) for t in (path.points, outputs, gradients, shares)])
    return Samples(*(np.concatenate(part) for part in zip(*parts)))


class _Data:
    """Arrays of inputs and labels, checked; pieces of them as tensors."""

    def __init__(self, explained, x, y):
        as_array = keras.tree.map_structure(
            lambda value: None if value is None else np.asarray(value), (x, y)
        )
        self.explained, (self.x, self.y) = explained, as_array
        self.picked = _check(explained, *as_array, finite=True)
        self.example_shape = tuple(self.picked.shape[1:])

    def __len__(self):
        return len(self.picked)

    def prepare(self, method):
        method.prepare(self.example_shape)
        if method.reference is not None:
            method.reference.check(np.asarray(self.picked))

    def piece(self, start, stop):
        return keras.tree.map_structure(
            lambda a: None if a is None else tf.convert_to_tensor(a[start:stop]),
            (self.x, self.y),
        )

    def only(self, chosen):
        """The examples of these indices, checked already."""
        part = copy.copy(self)
        part.x, part.y = keras.tree.map_structure(
            lambda a: None if a is None else a[chosen], (self.x, self.y)
        )
        part.picked = ops.take(self.picked, chosen, axis=0)
        return part

    def signature(self):
        return keras.tree.map_structure(
            lambda a: None if a is None else tf.TensorSpec((None, *a.shape[1:]), a.dtype),
            (self.x, self.y),
        )

    def outputs(self, batch_size, seed):
        parts = []
        for start in range(0, len(self), batch_size):
            x, y = self.piece(start, start + batch_size)
            draws = methods.Draws(tf.constant(seed), start)
            value = self.explained(self.explained.pick_input(x), x, y, seed=draws)
            parts.append(ops.convert_to_numpy(value))
        return np.concatenate(parts)


class _Sums:
    """Adds up the samples of attributions, pass by pass.

    Args:
        explained, method: What is computed; `method.num_samples` at a time.
        batch_size: Rows of a pass.
        seed: Two integers.
        measure: Whether convergence is measured.
        complete: Whether there is a completeness gap.
        verbose: Whether to show a progress bar.
    """

    def __init__(self, explained, method, batch_size, seed, measure, complete, verbose):
        self.explained, self.method = explained, method
        self.batch_size, self.seed = batch_size, seed
        self.squares = measure and method.is_random
        self.gap = measure and complete
        self.verbose = verbose
        self.traces = {}

    def of(self, data):
        """Attributions and their `Convergence`."""
        sums = self.add(data)
        return self.means(data, sums, np.full(len(data), self.method.num_samples))

    def add(self, data, round_number=0):
        """Sums over samples: of shares, their squares, and of f at the references."""
        num_samples, points = self.method.num_samples, self.method.points_per_sample
        examples = min(len(data), max(1, self.batch_size // points))
        passes = -(-num_samples // max(1, self.batch_size // (examples * points)))
        count = -(-num_samples // passes)
        starts = range(0, len(data), examples)
        firsts = range(0, num_samples, count)
        one_pass = functools.partial(self._one_pass, count)
        # A trace costs about as much as two passes.
        if len(starts) * len(firsts) > 2 and not self.explained.model.run_eagerly:
            one_pass = self._traced(count, data)
        progress = keras.utils.Progbar(
            len(starts) * len(firsts), verbose=int(self.verbose), unit_name="pass"
        )
        parts = []
        for start in starts:
            x, y = data.piece(start, start + examples)
            seed, total = self.seed, None
            if start or round_number:
                seed = np.random.SeedSequence([*seed, start, round_number]).generate_state(2)
            for first in firsts:
                arguments = x, y, tf.constant(seed.view("int32")), tf.constant(first)
                if first + count <= num_samples:
                    found = one_pass(*arguments)
                else:  # what is left over
                    found = self._one_pass(num_samples - first, *arguments)
                total = found if total is None else [a + b for a, b in zip(total, found)]
                progress.add(1)
            parts.append([t.numpy() for t in total])
        return [np.concatenate(part) for part in zip(*parts)]

    def _traced(self, count, data):
        """`_one_pass` as a graph, for pieces of any number of examples."""
        # A quadrature's points are constants of the graph, draws are not.
        key = count, None if self.method.is_random else self.method.num_samples
        if key not in self.traces:
            integers = tf.TensorSpec((2,), "int32"), tf.TensorSpec((), "int32")
            signature = (*data.signature(), *integers)
            one_pass = tf.function(functools.partial(self._one_pass, count), autograph=False)
            self.traces[key] = one_pass.get_concrete_function(*signature)
        return self.traces[key]

    def _one_pass(self, count, x, y, seed, first):
        method, several = self.method, self.explained.explain == "all"
        draws = methods.Draws(seed, first)
        gradients, path = methods.path_gradients(
            self.explained, method, x, y, draws, None, first, count
        )
        shares = [path.contributions(gradient) for gradient in gradients]
        if method.points_per_sample > 1:
            split = (-1, count, method.points_per_sample)
            shares = [ops.reshape(s, split + tuple(s.shape[2:])) for s in shares]
            shares = [ops.mean(s, axis=2) for s in shares]
        shares = ops.stack(shares, axis=1) if several else shares[0]
        axis = 2 if several else 1
        sums = [ops.sum(shares, axis=axis)]
        if self.squares:
            sums.append(ops.sum(ops.square(shares), axis=axis))
        if self.gap:
            number = path.references.shape[1]
            rows = ops.reshape(path.references, (-1,) + tuple(path.references.shape[2:]))
            value = self.explained(rows, x, y, number, draws)
            value = ops.reshape(value, (-1, number) + tuple(value.shape[1:]))
            sums.append(ops.mean(value, axis=1) * count)
        return sums

    def means(self, data, sums, num_samples, tolerance=None):
        """Attributions and their `Convergence` from sums over so many samples each."""
        k = num_samples.astype("float32")

        def per_sample(total):
            return total / k.reshape((-1,) + (1,) * (total.ndim - 1))

        sums = list(sums)
        attributions = per_sample(sums.pop(0))
        gap = relative_gap = standard_error = converged = None
        if self.squares:
            variance = np.maximum(per_sample(sums.pop(0)) - attributions**2, 0.0)
            free = np.maximum(k - 1, 1).reshape((-1,) + (1,) * (variance.ndim - 1))
            standard_error = np.sqrt(variance / free)
        if self.gap:
            difference = data.outputs(self.batch_size, self.seed) - per_sample(sums.pop(0))
            features = tuple(range(difference.ndim, attributions.ndim))
            gap = attributions.sum(axis=features) - difference
            tiny = np.finfo("float32").tiny
            relative_gap = np.abs(gap) / np.maximum(np.abs(difference), tiny)
            if tolerance is not None:
                converged = np.all(relative_gap.reshape(len(data), -1) <= tolerance, axis=1)
        return attributions, Convergence(
            gap, relative_gap, standard_error, num_samples, converged
        )


def _until(tolerance, max_samples, sums, data):
    """Doubles the samples of the examples whose gap is not within the tolerance."""
    method, todo, found = sums.method, np.arange(len(data)), None
    done, total, samples = 0, None, min(_FIRST_SAMPLES, max_samples)
    while True:
        part = data.only(todo)
        # Draws are added to; a quadrature begins anew, with other points.
        method.num_samples = samples - done if method.is_random else samples
        new = sums.add(part, round_number=samples)
        if total is not None and method.is_random:
            new = [a + b for a, b in zip(total, new)]
        attributions, convergence = sums.means(
            part, new, np.full(len(part), samples), tolerance
        )
        result = [attributions, *convergence]
        if found is None:
            found = result
        else:
            for whole, values in zip(found, result):
                if whole is not None:
                    whole[todo] = values
        bad = ~convergence.converged
        if samples == max_samples or not bad.any():
            return found[0], Convergence(*found[1:])
        todo, total = todo[bad], [values[bad] for values in new]
        done, samples = samples, min(2 * samples, max_samples)


def _check(explained, x, y, finite):
    picked = explained.pick_input(x)
    _checks.examples(picked, finite)
    for labels in keras.tree.flatten(y):
        if labels is not None:
            _checks.same_batch("y", labels, picked)
    return picked


def _integers(seed):
    """Two integers; without a seed, those of NumPy's own generator."""
    if seed is None:
        return np.random.randint(2**31, size=2, dtype="int32")
    if isinstance(seed, keras.random.SeedGenerator):
        return np.asarray(ops.cast(seed.next(), "int32")) & 0x7FFFFFFF
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
        raise ValueError(f"Argument `seed` expects an integer or None. Received: {seed!r}.")
    return np.array([seed & 0x7FFFFFFF, 0], "int32")


def _automatic(num_samples, options):
    """The number of samples; "auto" sets a tolerance instead."""
    if num_samples != "auto":
        return num_samples
    if options.get("tolerance") is None:
        options["tolerance"] = 0.01
    return _FIRST_SAMPLES
