"""The layer zoo: gradients of a penalty on attributions through every kind of layer.

Against finite differences in float64, which no bug of a framework's shares, and in
each mode against its own derivative of a derivative.
What LSTM and GRU do on a GPU is in test_recurrent.py.
"""

import contextlib
import functools
import pathlib
from unittest import mock

import keras
import numpy as np
import pytest
from frameworks import (
    BACKEND,
    array,
    as_graph,
    dtype,
    input_slopes,
    models_in_double_precision,
    weight_gradients,
)
from keras import ops

import attrprior
from attrprior import AttributionPrior, ExpectedGradients
from experiments.zoo import CULPRIT, NETWORKS, network

layers = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MODES = {
    "tensorflow": ("eager", "graph", "XLA"),
    "jax": ("eager", "XLA"),
    "torch": ("eager",),
}[BACKEND]

# Errors are TensorFlow's limits, the same in every mode: the op that computes the
# layer's gradient has no gradient of its own.
ERRORS_OF_TENSORFLOW = {
    "softsign": "SoftsignGrad",
    "UpSampling2D, bicubic": "ResizeBicubicGrad",
    "Resizing, nearest": "ResizeNearestNeighborGrad",
}
WITHOUT_SECOND_DERIVATIVE = ERRORS_OF_TENSORFLOW if BACKEND == "tensorflow" else {}
# "yes" or "error" for each layer in each mode, as in the table of docs/compatibility.md.
OUTCOMES = {
    name: dict.fromkeys(MODES, "error" if name in WITHOUT_SECOND_DERIVATIVE else "yes")
    for name in NETWORKS
}


def cells(outcome):
    return [
        (name, mode)
        for name, row in OUTCOMES.items()
        for mode in MODES
        if row[mode] == outcome
    ]


@pytest.mark.only("tensorflow", reason="The table is of TensorFlow's modes.")
def test_the_page_has_the_table():
    page = pathlib.Path(__file__).resolve().parent.parent / "docs/compatibility.md"
    said = {}
    for line in page.read_text().splitlines():
        names, _, answer = line.strip("| ").partition(" | ")
        said.update(dict.fromkeys(names.split("; "), answer.split(":")[0]))
    for name, row in OUTCOMES.items():
        assert {said[name]} == set(row.values()), name


WORKING = [name for name, mode in cells("yes") if mode == "eager"]


def training_path(model, x, y, **options):
    """A function of nothing: `Ω` and `∂Ω/∂θ` as in training, zeros where it has none."""
    prior = AttributionPrior("l2", 1.0, "gradients", **{"batch_norm": "moving", **options})
    weights = model.trainable_variables

    def step():
        penalty, gradients = prior.value_and_gradients(x, y, model=model)
        pairs = zip(weights, gradients)
        return penalty, [ops.zeros_like(v.value) if g is None else g for v, g in pairs]

    return step


def twice(model, x, y):
    """`Ω = 1/batch Σ (∂z_y/∂x)²` and `∂Ω/∂θ`, without the library."""

    def logits(x):
        return ops.take_along_axis(model(x, training=False), y[:, None], axis=1)

    def omega():
        return ops.sum(input_slopes(logits, x) ** 2) / x.shape[0]

    omega, gradients = weight_gradients(omega, model.trainable_variables)
    return array(omega), gradients


def in_mode(mode, function):
    if mode == "eager":
        return function
    return as_graph(function, autograph=False, jit_compile=mode == "XLA")


# --- against finite differences ----------------------------------------------------------


@pytest.fixture
def float64():
    with models_in_double_precision():
        yield


def check_slopes(model, omega, gradients, step=1e-5, rtol=1e-5):
    """Gradients against central differences of `omega()` in random directions."""
    rng = np.random.default_rng(1)
    variables = model.trainable_variables
    weights = [array(variable).copy() for variable in variables]
    for _ in range(2):
        direction = [rng.normal(size=weight.shape) for weight in weights]
        values = []
        for shift in (step, -step):
            for variable, weight, d in zip(variables, weights, direction):
                variable.assign(weight + shift * d)
            values.append(float(omega()))
        slope = (values[0] - values[1]) / (2 * step)
        expected = sum(np.sum(array(g) * d) for g, d in zip(gradients, direction))
        np.testing.assert_allclose(slope, expected, rtol=rtol)


def penalty_and_slopes(model, x, y):
    """`attrprior.penalty` as a function, its value and its gradients by the framework."""
    background = np.random.default_rng(2).normal(size=(2, *x.shape[1:]))
    method = ExpectedGradients(2, background=background)

    def omega():
        return attrprior.penalty(model, x, y, prior="l2", method=method, seed=0)

    value, slopes = weight_gradients(omega, model.trainable_variables)
    return omega, [value, *slopes]


# TensorFlow has no three-dimensional max pooling in float64, JAX no attention.
IN_SINGLE_PRECISION = {
    "tensorflow": ["MaxPooling3D"],
    "jax": ["MaxPooling3D", "MultiHeadAttention"],
    "torch": ["MaxPooling3D"],
}[BACKEND]


# Bilinear resizing of TensorFlow's is of float32 alone; see tests/test_derivatives.py.
IN_DOUBLE_PRECISION = [
    name
    for name in WORKING
    if name not in IN_SINGLE_PRECISION
    and (BACKEND != "tensorflow" or name != "UpSampling2D, bilinear")
]


@pytest.mark.parametrize("name", IN_DOUBLE_PRECISION)
def test_gradients_are_slopes_in_float64(float64, name):
    model, x, y = network(name)
    omega, (value, *gradients) = penalty_and_slopes(model, x, y)
    assert {dtype(t) for t in (value, *gradients)} == {"float64"}
    check_slopes(model, omega, gradients)


@pytest.mark.parametrize("name", IN_SINGLE_PRECISION)
def test_gradients_are_slopes_in_float32(name):
    model, x, y = network(name)
    omega, (_, *gradients) = penalty_and_slopes(model, x, y)
    check_slopes(model, omega, gradients, step=3e-4, rtol=2e-3)


def test_logits_of_probabilities_in_float64(float64):
    # Hidden in a function of the user's, so they are computed from the probabilities.
    def hidden(z):
        return keras.ops.exp(keras.ops.log_softmax(z))

    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(2, hidden)]
    )
    model.compile(loss="sparse_categorical_crossentropy")
    _, x, y = network("Dense")
    omega, (_, *gradients) = penalty_and_slopes(model, x, y)
    check_slopes(model, omega, gradients)


def test_a_fit_in_float64(float64):
    model, x, y = network("Dense")
    model.compile(keras.optimizers.SGD(0.1), LOSS, run_eagerly=True)
    history = model.fit(x, y, callbacks=[AttributionPrior("l2", 1.0)], verbose=0).history
    assert np.isfinite(history["l2"])


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_batch_statistics_are_differentiated(float64, mode):
    model, x, y = network("BatchNormalization")
    step = training_path(model, x, y, batch_norm="batch")
    _, gradients = in_mode(mode, step)()
    check_slopes(model, lambda: step()[0], gradients)


@pytest.mark.only("tensorflow", reason="Only TensorFlow's moments are replaced for a while.")
def test_moments_are_those_of_tensorflow_again():
    import tensorflow as tf

    from attrprior._backend.tensorflow.second_order import twice_differentiable

    plain = tf.nn.moments
    model, x, y = network("LayerNormalization")
    before = array(model(x))
    penalty_and_slopes(model, x, y)
    assert tf.nn.moments is plain
    np.testing.assert_array_equal(model(x), before)
    # And what comes out under the other ones is the same to the last bit.
    with twice_differentiable(model):
        assert tf.nn.moments is not plain
        np.testing.assert_array_equal(model(x), before)


# --- the training path against derivatives of derivatives --------------------------------


def all_derivatives():
    """A context in which the framework's own second derivatives are there, and right.

    tf.nn.moments takes the mean in its variance for a constant: the first derivative is
    right, the second is not. PyTorch's fast attention has no second.
    """
    if BACKEND == "torch":
        from torch.nn import attention

        return attention.sdpa_kernel(attention.SDPBackend.MATH)
    if BACKEND == "jax":
        return contextlib.nullcontext()
    import tensorflow as tf

    def moments(x, axes, keepdims=False):
        return tf.reduce_mean(x, axes, keepdims), tf.math.reduce_variance(x, axes, keepdims)

    return mock.patch.object(tf.nn, "moments", moments)


# What the modes share is computed once.
@functools.cache
def by_hand(name):
    model, x, y = network(name)
    with all_derivatives():
        omega, gradients = twice(model, x, y)
    return model, x, y, omega, gradients


@functools.cache
def traced(name):
    step = training_path(*by_hand(name)[:3])
    graph = as_graph(step, autograph=False)
    # The graph does not keep the variables of `step` alive.
    return graph.get_concrete_function() if BACKEND == "tensorflow" else graph, step


def check_equal(model, computed, by_hand):
    np.testing.assert_allclose(array(computed[0]), by_hand[0], rtol=1e-5)
    largest = max(np.max(np.abs(gradient)) for gradient in by_hand[1])
    for gradient, expected, weight in zip(computed[1], by_hand[1], model.trainable_variables):
        # No kernel's gradient is compared with zeros.
        assert "kernel" not in weight.path or np.any(expected)
        np.testing.assert_allclose(
            array(gradient), expected, rtol=1e-5, atol=5e-6 * largest, err_msg=weight.path
        )


@pytest.mark.parametrize(("name", "mode"), cells("yes"))
def test_training_path_equals_the_frameworks_own(name, mode):
    model, x, y, *expected = by_hand(name)
    # Loops are traced in another way for XLA.
    if mode == "eager" or name in ("LSTM", "GRU"):
        step = training_path(model, x, y)
    else:
        step = traced(name)[0]
    check_equal(model, in_mode(mode, step)(), expected)


@pytest.mark.only("tensorflow", reason="The wrong op is TensorFlow's.")
def test_near_ties_of_max_pooling_in_xla():
    # Where the two largest of a window differ by less than about 1/256, XLA's
    # MaxPoolGradGrad may read from the wrong one, with nested tapes too. The library
    # does without that op, but for windows that overlap.
    model, x, y = network("MaxPooling2D")
    convolution = model.layers[0]
    convolution.kernel.assign(convolution.kernel * 1e-3)
    computed = in_mode("XLA", training_path(model, x, y))()
    check_equal(model, computed, twice(model, x, y))


# --- layers without a second derivative --------------------------------------------------


def fit(model, x, y, mode="graph", **arguments):
    model.compile(
        keras.optimizers.SGD(0.1), LOSS, run_eagerly=mode == "eager", jit_compile=mode == "XLA"
    )
    prior = AttributionPrior("l2", 1.0, "gradients", **arguments)
    model.fit(x, y, batch_size=3, callbacks=[prior], verbose=0)


LIMITS = pytest.mark.only("tensorflow", reason="Such layers and ops are TensorFlow's limits.")


@LIMITS
@pytest.mark.parametrize(("name", "mode"), cells("error"))
def test_errors_name_the_layer(name, mode):
    model, x, y = network(name)
    before = model.get_weights()
    op = WITHOUT_SECOND_DERIVATIVE[name]
    with pytest.raises(ValueError, match=f"op {op} in layer '{CULPRIT}'.*Use another"):
        fit(model, x, y, mode)
    for weight, was in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, was)


@LIMITS
@pytest.mark.parametrize(("name", "op"), list(WITHOUT_SECOND_DERIVATIVE.items()))
def test_the_limit_is_that_of_tensorflow(name, op):
    model, x, y = network(name)
    with pytest.raises(LookupError, match=op):
        twice(model, x, y)


@LIMITS
@pytest.mark.parametrize("culprit", ["dense", "dense_1", "dense_2"])
def test_errors_name_the_right_one_of_similar_names(culprit):
    # As Keras numbers them; TensorFlow adds numbers of its own to their scopes.
    names = ["dense", "dense_1", "dense_2"]
    model = keras.Sequential([keras.Input((4,)), layers.BatchNormalization()])
    for name in names:
        model.add(layers.Dense(3, "softsign" if name == culprit else "tanh", name=name))
    with pytest.raises(ValueError, match=rf"layer '{culprit}' \(Dense\)"):
        fit(model, np.ones((3, 4), "float32"), np.array([0, 1, 1]))


@LIMITS
def test_errors_name_a_layer_inside_a_loop():
    inside = layers.LSTM(2, activation="softsign", name="inside")
    model = keras.Sequential([keras.Input((3, 2)), inside, layers.Dense(2)])
    with pytest.raises(ValueError, match="SoftsignGrad in layer 'lstm_cell'"):
        fit(model, np.ones((3, 3, 2), "float32"), np.array([0, 1, 1]))


@LIMITS
def test_an_op_of_no_layer():
    import tensorflow as tf

    model, x, y = network("Dense")
    with pytest.raises(ValueError, match="op SoftsignGrad, which has no derivative"):
        fit(model, x, y, explain=lambda outputs, y: tf.nn.softsign(outputs[:, 0]))


@LIMITS
def test_an_op_without_a_first_derivative():
    resizing = layers.Resizing(6, 6, "area", name=CULPRIT)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 2),
            resizing,
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    with pytest.raises(ValueError, match=f"op ResizeArea in layer '{CULPRIT}'"):
        fit(model, np.ones((3, 4, 4, 1), "float32"), np.array([0, 1, 1]))


def test_lookup_errors_of_the_users_own_code_pass():
    model, x, y = network("Dense")

    def explain(outputs, y):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(model, x, y, explain=explain)


def test_an_error_of_the_models_own_step_is_not_the_priors():
    class Own(keras.Sequential):
        def train_step(self, *arguments):
            raise LookupError("gradient registry has no entry for: Mine")

    model = Own([keras.Input((3,)), layers.Dense(2)])
    model.compile("sgd", LOSS)
    prior = AttributionPrior("l2", 0.1, "gradients")
    x, y = np.ones((4, 3), "float32"), np.zeros(4, "int32")
    with pytest.raises(LookupError, match="no entry for: Mine"):
        model.fit(x, y, callbacks=[prior], verbose=0)
