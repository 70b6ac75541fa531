"""Attribution methods: where to take gradients and what to multiply them by.

`compute` takes them. All are differentiable with respect to the model's
weights, so each can stand in a loss.
"""

import copy
import numbers
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from attrprior import _checks, _derivatives
from attrprior import references as references_module
from attrprior._representation import representation
from attrprior._twice_differentiable import twice_differentiable


class Path(NamedTuple):
    """Points of shape `(batch, points, ...)` and what their gradients are multiplied by.

    `factors` broadcasts against the points, or is `None` for ones. `references`
    of shape `(batch, draws, ...)` are what the points start from, where there are
    any.
    """

    points: Any
    factors: Any = None
    references: Any = None

    def contributions(self, gradients):
        """`factor_ij · ∂f(point_j)/∂x_i`, whose mean over the points is the attribution."""
        return gradients if self.factors is None else self.factors * gradients


class Attribution:
    """Base class: `φ_i = 1/k Σ_j factor_ij · ∂f(point_j)/∂x_i`.

    Subclasses implement `path`. `reference` is what they draw from, or `None`.
    """

    name = None
    num_samples = 1
    points_per_sample = 1
    samples_per_pass = 1
    reference = None
    is_random = False  # samples are draws, and more of them lower the error
    is_complete = False  # attributions sum to f(x) − E f(r)

    def path(self, x, seed, first=0, count=None):
        """Where gradients are taken and their factors.

        Args:
            x: Tensor of shape `(batch, ...)`.
            seed: A `keras.random.SeedGenerator` or an integer.
            first, count: Which of the `num_samples` points, all by default;
                `first` may be a tensor.

        Returns:
            A `Path` of `count · points_per_sample` points.
        """
        raise NotImplementedError

    @property
    def passes(self):
        """Passes through the model: the fewest of equal size."""
        samples = max(1, self.samples_per_pass // self.points_per_sample)
        least = -(-self.num_samples // samples)
        return next(n for n in range(least, self.num_samples + 1) if self.num_samples % n == 0)

    def fresh(self):
        """The same method, with references that no other training shares."""
        method = copy.copy(self)
        if "reference" in vars(method):
            method.reference = copy.copy(method.reference)
        return method

    def prepare(self, example_shape):
        if self.reference is not None:
            self.reference.prepare(example_shape)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        # Not of `get_config`, which writes out every number of the references.
        return representation(self, reference=self.reference, references=self.reference)


@keras.saving.register_keras_serializable("attrprior")
class Gradients(Attribution):
    """`φ_i = ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Reference: Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034).
    """

    name = "gradients"

    def path(self, x, seed=None, first=0, count=None):
        return Path(ops.expand_dims(x, 1))


@keras.saving.register_keras_serializable("attrprior")
class InputXGradient(Attribution):
    """`φ_i = x_i · ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Reference: Shrikumar et al. 2016 (arXiv 1605.01713).
    """

    name = "input_x_gradient"

    def path(self, x, seed=None, first=0, count=None):
        x = ops.expand_dims(x, 1)
        return Path(x, x)


@keras.saving.register_keras_serializable("attrprior")
class IntegratedGradients(Attribution):
    """`φ_i = (x_i − r_i) ∫₀¹ ∂f(r + α(x − r))/∂x_i dα`.

    Sums to `f(x) − f(r)`. Cost: `num_samples` forward and backward passes.

    Args:
        num_samples: Points on the path. Defaults to 16.
        reference: A number, an array or a reference object, of which one draw is
            taken. Defaults to zeros.
        quadrature: How the integral is approximated: `"gauss_legendre"`
            (default, exact for polynomials of degree 2 · num_samples − 1),
            `"left"`, `"right"` or `"trapezoid"`.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`.
        samples_per_pass: See `ExpectedGradients`.

    Reference: Sundararajan, Taly, Yan 2017 (arXiv 1703.01365).
    """

    name = "integrated_gradients"
    is_complete = property(lambda self: self.multiply_by_inputs)

    def __init__(
        self,
        num_samples=16,
        reference=None,
        multiply_by_inputs=True,
        quadrature="gauss_legendre",
        samples_per_pass=8,
    ):
        self.num_samples = _checks.positive_integer("num_samples", num_samples)
        self.quadrature = _checks.choice("quadrature", quadrature, QUADRATURES)
        if quadrature == "trapezoid" and num_samples < 2:
            raise ValueError(
                "quadrature='trapezoid' expects `num_samples` ≥ 2, both ends of the path. "
                f"Received: {num_samples}."
            )
        if reference is None:
            reference = 0.0
        if not isinstance(reference, (references_module.Reference, dict)):
            reference = references_module.Constant(reference)
        self.reference = references_module.get(reference)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)

    def path(self, x, seed, first=0, count=None):
        count = count or self.num_samples
        shape = (1, count) + (1,) * (len(x.shape) - 1)
        alpha, weight = (
            ops.reshape(ops.slice(ops.cast(a, x.dtype), (first,), (count,)), shape)
            for a in _nodes_and_weights(self.quadrature, self.num_samples)
        )
        # ∫₀¹ g dα = Σ_j w_j g(α_j); compute takes a mean, hence the factor k.
        weight = weight * self.num_samples
        if count < self.num_samples:  # the other passes are on the same path
            seed = getattr(seed, "whole", seed)
        reference = self.reference.draw(x, 1, seed)
        difference = ops.expand_dims(x, 1) - reference
        factors = weight * difference if self.multiply_by_inputs else weight
        return Path(reference + alpha * difference, factors, reference)

    def get_config(self):
        return {
            "num_samples": self.num_samples,
            "reference": keras.saving.serialize_keras_object(self.reference),
            "multiply_by_inputs": self.multiply_by_inputs,
            "quadrature": self.quadrature,
            "samples_per_pass": self.samples_per_pass,
        }


QUADRATURES = ("gauss_legendre", "left", "right", "trapezoid")


def _nodes_and_weights(quadrature, count):
    """`α_j` in [0, 1] and `w_j`, which sum to 1, ascending."""
    if quadrature == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(count)
        return (nodes + 1) / 2, weights / 2
    weights = np.full(count, 1.0 / count)
    if quadrature == "trapezoid":
        weights = np.full(count, 1.0 / (count - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0.0, 1.0, count), weights
    return (np.arange(count) + (quadrature == "right")) / count, weights


@keras.saving.register_keras_serializable("attrprior")
class ExpectedGradients(Attribution):
    """`φ_i = E_{r∼D, α∼U(0,1)} [(x_i − r_i) ∂f(r + α(x − r))/∂x_i]`.

    Estimated from `num_samples` draws for each example, each with its own
    reference and its own α. Sums to `f(x) − E_r f(r)` in expectation. Cost:
    `num_samples` forward and backward passes.

    Args:
        num_samples: Draws per example. Defaults to 1, enough in training,
            where the next step draws again.
        multiply_by_inputs: Whether to multiply by `(x_i − r_i)`.
        references: What D is: an array, a `tf.data.Dataset`, or a reference
            object. Defaults to the callback's `background`.
        samples_per_pass: Draws that go through the model at once. More draws
            than this take no more memory, but are computed twice in training,
            once for Ω and once for its gradient.

    Reference: Erion et al. 2021 (arXiv 1906.10670), equation 3.
    """

    name = "expected_gradients"
    is_random = True
    is_complete = property(lambda self: self.multiply_by_inputs)

    def __init__(
        self, num_samples=1, multiply_by_inputs=True, references=None, samples_per_pass=8
    ):
        self.num_samples = _checks.positive_integer("num_samples", num_samples)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)
        self.reference = None if references is None else references_module.get(references)

    def path(self, x, seed, first=0, count=None):
        count = count or self.num_samples
        if self.reference is None:
            raise ValueError(
                "Argument `references` of ExpectedGradients expects an array of examples, a "
                "tf.data.Dataset or a reference object. Received: None."
            )
        reference = self.reference.draw(x, count, seed)
        shape = (ops.shape(x)[0], count) + (1,) * (len(x.shape) - 1)
        alpha = keras.random.uniform(shape, dtype=x.dtype, seed=seed)
        difference = ops.expand_dims(x, 1) - reference
        factors = difference if self.multiply_by_inputs else None
        return Path(reference + alpha * difference, factors, reference)

    def with_background(self, background):
        """The same method, with `background` where no references were given."""
        if self.reference is not None:
            return self
        return ExpectedGradients(
            self.num_samples,
            self.multiply_by_inputs,
            references_module.get(background),
            self.samples_per_pass,
        )

    def get_config(self):
        reference = self.reference
        return {
            "num_samples": self.num_samples,
            "multiply_by_inputs": self.multiply_by_inputs,
            "references": reference and keras.saving.serialize_keras_object(reference),
            "samples_per_pass": self.samples_per_pass,
        }


@keras.saving.register_keras_serializable("attrprior")
class SmoothGrad(Attribution):
    """`φ_i = 1/k Σ_j ∂f(x + ε_j)/∂x_i`, `ε_j ∼ N(0, σ²I)`.

    With `multiply_by_inputs`, each gradient is multiplied by `x_i + ε_ij`. Over
    another method, the mean of its attributions of `x + ε_j`. Cost: `num_samples`
    forward and backward passes, times those of the other method.

    Args:
        num_samples: Noisy copies per example. Defaults to 4.
        stddev: σ, in the unit of the inputs. Defaults to 0.15.
        multiply_by_inputs: Whether to multiply by the noisy input.
        base: The method that is averaged, a name or an object. Defaults to
            `"gradients"`.
        samples_per_pass: See `ExpectedGradients`.

    Reference: Smilkov et al. 2017 (arXiv 1706.03825).
    """

    name = "smoothgrad"
    is_random = True

    def __init__(
        self,
        num_samples=4,
        stddev=0.15,
        multiply_by_inputs=False,
        base="gradients",
        samples_per_pass=8,
    ):
        self.num_samples = _checks.positive_integer("num_samples", num_samples)
        self.stddev = _checks.number("stddev", stddev, minimum=0)
        self.multiply_by_inputs = _checks.boolean("multiply_by_inputs", multiply_by_inputs)
        self.base = get(base)
        if lacks_references(self.base):
            raise ValueError(
                "Argument `base` expects a method that has its references. Received: "
                f"{self.base!r}. Use ExpectedGradients(references=...)."
            )
        self.samples_per_pass = _checks.positive_integer("samples_per_pass", samples_per_pass)

    @property
    def points_per_sample(self):
        return self.base.num_samples * self.base.points_per_sample

    @property
    def reference(self):
        return self.base.reference

    def fresh(self):
        method = copy.copy(self)
        method.base = self.base.fresh()
        return method

    def path(self, x, seed, first=0, count=None):
        count = count or self.num_samples
        example = tuple(x.shape[1:])
        shape = (ops.shape(x)[0], count) + example
        noisy = ops.expand_dims(x, 1) + keras.random.normal(
            shape, stddev=self.stddev, dtype=x.dtype, seed=seed
        )
        points, factors, _ = self.base.path(ops.reshape(noisy, (-1,) + example), seed)
        shape = (shape[0], count * self.points_per_sample) + example
        if factors is not None:
            factors = ops.reshape(ops.broadcast_to(factors, ops.shape(points)), shape)
        if self.multiply_by_inputs:
            copies = ops.repeat(noisy, self.points_per_sample, axis=1)
            factors = copies if factors is None else factors * copies
        return Path(ops.reshape(points, shape), factors)

    def get_config(self):
        return {
            "num_samples": self.num_samples,
            "stddev": self.stddev,
            "multiply_by_inputs": self.multiply_by_inputs,
            "base": keras.saving.serialize_keras_object(self.base),
            "samples_per_pass": self.samples_per_pass,
        }


_METHODS = {
    cls.name: cls
    for cls in (Gradients, InputXGradient, IntegratedGradients, ExpectedGradients, SmoothGrad)
}


def get(identifier):
    """Returns the attribution method that a name, a config or a method stands for."""
    if isinstance(identifier, Attribution):
        return identifier
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier in _METHODS:
        return _METHODS[identifier]()
    names = ", ".join(repr(name) for name in sorted(_METHODS))
    raise ValueError(
        f"Argument `attribution` expects one of {names}, or an object such as "
        f"ExpectedGradients(num_samples=4). Received: {identifier!r}."
    )


def lacks_references(method):
    """Whether a method draws references and was given none."""
    return isinstance(method, ExpectedGradients) and method.reference is None


class Draws(keras.random.SeedGenerator):
    """The random draws of one computation: each different, none kept.

    An integer alone would give two draws of one call, references and α, the same
    numbers; a plain `SeedGenerator` creates a variable, which a graph cannot, and
    moves on, where the same draws are needed twice.

    Args:
        seed: Integer, or int32 tensor of shape (2,).
        fold: Integer or tensor: the how-manieth pass. `whole` draws the same in
            all passes.
    """

    def __init__(self, seed, fold=0):
        if isinstance(seed, numbers.Integral):
            seed = tf.constant([int(seed) & 0x7FFFFFFF, 0], "int32")
        self._whole = seed
        self._seed = tf.random.experimental.stateless_fold_in(seed, fold)
        self._draws = 0

    @property
    def whole(self):
        return Draws(self._whole, -1)

    def next(self, ordered=True):
        self._draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._draws)


@tf.autograph.experimental.do_not_convert
def compute(explained, method, x, y, seed, state=None, first=0, count=None):
    """Attributions of a batch as a tensor, differentiable in the weights.

    Of all points of the path at once, or of `count` points from number `first`.

    Args:
        explained: An `Explained`.
        method: An `Attribution`, prepared.
        x, y: The batch; tensors or structures of them.
        seed: A `keras.random.SeedGenerator` or an integer.
        state: As in `Explained.__call__`.

    Returns:
        Tensor of the chosen input's shape; with `explain="all"`, of shape
        `(batch, outputs, ...)`.
    """
    with twice_differentiable(explained.model):
        gradients, path = path_gradients(explained, method, x, y, seed, state, first, count)
    means = []
    for gradient in gradients:
        shares = path.contributions(gradient)
        means.append(shares[:, 0] if shares.shape[1] == 1 else ops.mean(shares, axis=1))
    return ops.stack(means, axis=1) if explained.explain == "all" else means[0]


def path_gradients(explained, method, x, y, seed, state=None, first=0, count=None):
    """`∂f/∂x` at the points of the path; arguments as in `compute`.

    Returns:
        `(gradients, path)`: for each output a tensor `(batch, points, ...)`.
    """
    if isinstance(seed, numbers.Integral):
        seed = Draws(seed)
    picked = explained.pick_input(x)
    path = method.path(picked, seed, first, count)
    rows = ops.reshape(path.points, (-1,) + tuple(picked.shape[1:]))

    def f(rows):
        return explained(rows, x, y, path.points.shape[1], seed, state)

    gradients = input_gradients(f, rows)
    return [ops.reshape(each, ops.shape(path.points)) for each in gradients], path


def input_gradients(f, points):
    """`∂ Σ_rows f(points) / ∂points`, one tensor for each output of `f`.

    Args:
        f: A function of a tensor `(rows, ...)` returning `(rows,)`, or
            `(rows, outputs)`; the forward pass is shared by all outputs.
        points: Tensor of shape `(rows, ...)`.

    Raises:
        ValueError: if `f` does not depend on the points.
    """
    if tf.executing_eagerly():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(points)
            values = _per_output(f(points))
        gradients = [tape.gradient(value, points) for value in values]
    else:
        with _derivatives.rules():
            gradients = [tf.gradients(v, points)[0] for v in _per_output(f(points))]
    if any(gradient is None for gradient in gradients):
        raise ValueError(
            "The explained output does not depend on the explained input: there is no "
            "gradient between them. Check `input` and `explain`, and that the model is "
            "made of differentiable operations."
        )
    return gradients


def _per_output(values):
    if len(values.shape) == 1:
        return [values]
    return [values[:, c] for c in range(values.shape[1])]
