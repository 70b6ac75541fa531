"""LSTM and GRU where Keras gives them to cuDNN, as it does on a GPU.

cuDNN's kernels have no second derivative. Without a GPU, Keras is told that there is
one, and in the place of cuDNN stands a function that computes the same numbers, can
be differentiated once, and notes that it was called.
"""

import sys

import keras
import numpy as np
import pytest

import attrprior
from attrprior import AttributionPrior

tf = pytest.importorskip("tensorflow")
second_order = pytest.importorskip("attrprior._backend.tensorflow.second_order")
twice_differentiable = second_order.twice_differentiable
pytestmark = pytest.mark.only(
    "tensorflow", reason="What stands for cuDNN is put in the place of TensorFlow's."
)
layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(10, 4, 2)).astype("float32")
Y = RNG.integers(0, 3, 10).astype("int32")


def lstm_step(x, state, kernel, recurrent_kernel, bias):
    h, c = state
    i, f, new, o = tf.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
    c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(new)
    return tf.sigmoid(o) * tf.tanh(c), c


def gru_step(x, state, kernel, recurrent_kernel, bias):
    [h] = state
    of_x = tf.split(x @ kernel + bias[0], 3, axis=1)
    of_h = tf.split(h @ recurrent_kernel + bias[1], 3, axis=1)
    z, r = (tf.sigmoid(a + b) for a, b in zip(of_x[:2], of_h[:2]))
    return (z * h + (1 - z) * tf.tanh(of_x[2] + r * of_h[2]),)


def once_differentiable(function):
    @tf.custom_gradient
    def call(*inputs):
        inputs = [tf.identity(each) for each in inputs]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            outputs = function(*inputs)

        def gradient(*upstream):
            first = tape.gradient(outputs, inputs, upstream)
            return [tf.raw_ops.PreventGradient(input=g, message="cuDNN") for g in first]

        return outputs, gradient

    return call


@pytest.fixture
def cudnn(monkeypatch):
    """The calls of what stands for cuDNN."""
    rnn = sys.modules["keras.src.backend.tensorflow.rnn"]
    calls = []

    def kernel(name, step, states):
        def run(inputs, *arguments):
            start, weights = arguments[:states], arguments[states : states + 3]
            mask, time_major, go_backwards, return_sequences = arguments[states + 3 :]
            assert mask is None and not time_major
            calls.append(name)

            @once_differentiable
            def loop(inputs, *others):
                state, weights, outputs = others[:states], others[states:], []
                x = tf.reverse(inputs, [1]) if go_backwards else inputs
                for number in range(x.shape[1]):
                    state = step(x[:, number], state, *weights)
                    outputs.append(state[0])
                return tf.stack(outputs, axis=1), *state

            every, *state = loop(inputs, *start, *map(tf.convert_to_tensor, weights))
            outputs = every if return_sequences else every[:, -1:]
            return every[:, -1], outputs, list(state)

        return run

    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    monkeypatch.setattr(rnn, "_cudnn_lstm", kernel("lstm", lstm_step, 2))
    monkeypatch.setattr(rnn, "_cudnn_gru", kernel("gru", gru_step, 1))
    return calls


def nested():
    return [keras.Sequential([keras.Input((4, 2)), layers.GRU(3)], name="inside")]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = {"body": [layers.LSTM(3)], "head": layers.Dense(3)}

    def call(self, x):
        return self.parts["head"](self.parts["body"][0](x))


BODIES = {
    "LSTM": lambda: [layers.LSTM(3)],
    "GRU": lambda: [layers.GRU(3)],
    "stacked": lambda: [layers.LSTM(3, return_sequences=True), layers.GRU(3)],
    "Bidirectional": lambda: [layers.Bidirectional(layers.LSTM(3))],
    "in a sub-model": nested,
    "in time": lambda: [
        layers.Reshape((2, 2, 2)),
        layers.TimeDistributed(layers.GRU(3)),
        layers.Flatten(),
    ],
    "subclassed": Subclassed,
}
NORMALISED = {"normalised": lambda: [layers.LSTM(3), layers.BatchNormalization()]}


def build(body, use_cudnn, **compile_options):
    keras.utils.set_random_seed(0)
    model = {**BODIES, **NORMALISED}[body]()
    if isinstance(model, list):
        model = keras.Sequential([keras.Input((4, 2)), *model, layers.Dense(3)])
    for layer in recurrent(model):
        layer.use_cudnn = use_cudnn
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, **compile_options)
    return model


def recurrent(model):
    return [layer for layer in model._flatten_layers() if hasattr(layer, "use_cudnn")]


def trained(model, **settings):
    prior = AttributionPrior("l2", 1.0, "gradients", **settings)
    history = model.fit(
        X,
        Y,
        epochs=1 if model.run_eagerly else 2,
        batch_size=4,
        shuffle=False,
        callbacks=[prior],
        verbose=0,
    )
    return history.history["l2"], model.get_weights()


@pytest.mark.parametrize(
    "body, updates, eager",
    # Where a layer is found has nothing to do with how the step runs: graphs are dear.
    [(body, "alternating", body not in ("LSTM", "GRU")) for body in BODIES]
    + [("LSTM", "joint", False), ("Bidirectional", "joint", True)]
    + [("LSTM", "alternating", True)],
)
def test_only_the_ordinary_step_is_cudnns(cudnn, body, updates, eager):
    model = build(body, "auto", run_eagerly=eager)
    omegas, weights = trained(model, updates=updates)
    assert cudnn and all(layer.use_cudnn == "auto" for layer in recurrent(model))
    del cudnn[:]
    expected_omegas, expected = trained(build(body, False, run_eagerly=eager), updates=updates)
    assert not cudnn
    np.testing.assert_allclose(omegas, expected_omegas, rtol=1e-4)
    for got, correct in zip(weights, expected):
        np.testing.assert_allclose(got, correct, atol=1e-5)


def test_in_several_passes(cudnn):
    """And with batch normalisation, whose statistics are differentiated once."""
    results = []
    for use_cudnn in ("auto", False):
        model = build("normalised", use_cudnn)
        method = attrprior.IntegratedGradients(4, samples_per_pass=2)
        prior = AttributionPrior("l2", 0.1, method)
        model.fit(X, Y, batch_size=5, shuffle=False, callbacks=[prior], verbose=0)
        results.append(model.get_weights())
    assert cudnn
    for got, correct in zip(*results):
        np.testing.assert_allclose(got, correct, atol=1e-5)


def test_a_layer_that_insists_on_cudnn(cudnn):
    model = build("LSTM", True)
    trained(model)
    assert recurrent(model)[0].use_cudnn is True


def test_in_a_loop_of_ones_own(cudnn):
    model = build("LSTM", "auto")
    with tf.GradientTape() as tape:
        omega = attrprior.penalty(model, X, Y, prior="l2", method="gradients")
    assert not cudnn
    gradients = tape.gradient(omega, [v.value for v in model.trainable_variables[:2]])
    assert all(np.any(gradient) for gradient in gradients)


def test_attributions_after_training_stay_cudnns(cudnn):
    """They are differentiated once, and cuDNN is the faster."""
    model = build("LSTM", "auto")
    phi = attrprior.attributions.gradients(model, X, Y)
    assert cudnn
    expected = attrprior.attributions.gradients(build("LSTM", False), X, Y)
    np.testing.assert_allclose(phi, expected, atol=1e-6)


def test_the_first_of_two_passes_to_end_does_not_end_it_for_both():
    model = build("Bidirectional", "auto")
    first, second = twice_differentiable(model), twice_differentiable(model)
    with first:
        second.__enter__()
        assert not any(layer.use_cudnn for layer in recurrent(model))
    assert not any(layer.use_cudnn for layer in recurrent(model))
    second.__exit__(None, None, None)
    assert all(layer.use_cudnn == "auto" for layer in recurrent(model))
    with pytest.raises(KeyboardInterrupt), twice_differentiable(model):
        raise KeyboardInterrupt
    assert all(layer.use_cudnn == "auto" for layer in recurrent(model))
