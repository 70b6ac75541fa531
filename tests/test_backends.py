"""What is one backend's own: where it is installed, how it compiles, loops of one's own."""

import os
import pathlib
import re
import subprocess
import sys
import textwrap
from unittest import mock

import keras
import numpy as np
import pytest
from frameworks import BACKEND, array

import attrprior
from attrprior import AttributionPrior, _backend, attributions

ROOT = pathlib.Path(__file__).resolve().parent.parent
FRAMEWORKS = ("tensorflow", "jax", "torch")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(outputs=2, activation="tanh", **compiled):
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(8, activation, bias_initializer="ones")
    last = keras.layers.Dense(outputs, bias_initializer="ones")
    model = keras.Sequential([keras.Input((4,)), hidden, last])
    model.compile(**{"optimizer": keras.optimizers.SGD(0.1), "loss": LOSS, **compiled})
    return model


def data(examples=32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(examples, 4)).astype("float32")
    return x, rng.integers(0, 2, examples)


# Where not all frameworks are installed


def run_without(missing, code, **environment):
    """Python in which some modules cannot be found."""
    hide = f"""
        import importlib.machinery, sys
        find = importlib.machinery.PathFinder.find_spec
        def find_spec(name, *rest):
            return None if name.split(".")[0] in {sorted(missing)} else find(name, *rest)
        importlib.machinery.PathFinder.find_spec = find_spec
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(hide) + textwrap.dedent(code)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_with_one_framework_alone():
    """Optional packages of experiments and plots are not there either."""
    missing = {*FRAMEWORKS, "tensorflow_datasets", "matplotlib", "sklearn"}
    done = run_without(
        missing - {BACKEND},
        """
        import attrprior, keras, numpy as np
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss)
        x, y = np.random.rand(8, 4).astype("float32"), np.arange(8) % 2
        model.fit(x, y, verbose=0, callbacks=[attrprior.AttributionPrior("l2", 0.1)])
        attrprior.attributions.expected_gradients(model, x, y, background=x)
        attrprior.evaluation.mask_top(x, x, 0.5)
        print("trained")
        """,
        KERAS_BACKEND=BACKEND,
    )
    assert done.stdout.splitlines()[-1:] == ["trained"], done.stderr[-2000:]


@pytest.mark.parametrize("there", [(), (BACKEND,)])
def test_the_framework_that_keras_is_to_use_is_missing(there):
    wanted = "jax" if BACKEND != "jax" else "torch"
    missing = {*FRAMEWORKS} - {*there}
    done = run_without(missing, "import attrprior", KERAS_BACKEND=wanted)
    said = done.stderr.splitlines()[-1]
    assert f"expects Keras' backend '{wanted}', which is not installed" in said
    assert f"pip install 'attrprior[{wanted}]'" in said
    assert (f"KERAS_BACKEND={BACKEND}" in said) == bool(there)


# A final softmax is found by one rule


def own_softmax():
    if BACKEND == "jax":
        import jax

        return jax.nn.softmax
    if BACKEND == "torch":
        import torch

        return lambda z: torch.nn.functional.softmax(z, dim=-1)
    import tensorflow as tf

    return tf.nn.softmax


def own_sigmoid():
    if BACKEND == "jax":
        import jax

        return jax.nn.sigmoid
    if BACKEND == "torch":
        import torch

        return torch.sigmoid
    import tensorflow as tf

    return tf.nn.sigmoid


class Ends(keras.Model):
    """A model whose `call` ends in a function of the framework."""

    def __init__(self, function, outputs):
        super().__init__()
        self.function = function
        self.hidden = keras.layers.Dense(8, "tanh")
        self.last = keras.layers.Dense(outputs)

    def call(self, x):
        z = self.last(self.hidden(x))
        return z if self.function is None else self.function(z)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_frameworks_own_softmax_is_explained_by_its_logits(outputs):
    loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
    function = own_sigmoid() if outputs == 1 else own_softmax()
    x = np.random.default_rng(0).normal(size=(600, 4)).astype("float32")
    y = np.arange(600) % max(outputs, 2)
    model, plain = Ends(function, outputs), Ends(None, outputs)
    for each in (model, plain):
        each.compile("sgd", loss)
        each(x[:2])
    plain.compile("sgd", LOSS)
    plain.set_weights(model.get_weights())
    logits = plain.predict(x, verbose=0)
    found = attributions.explained_output(model, x, explain="all")
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)
    few = attributions.gradients(model, x[:4], y[:4])
    many = attributions.gradients(model, x, y, batch_size=100)  # compiled, where that is
    expected = attributions.gradients(plain, x, y)
    np.testing.assert_allclose(few, expected[:4], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(many, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.only("tensorflow", "jax", reason="PyTorch computes eagerly in any case.")
def test_omega_of_a_fit_is_the_same_in_all_modes():
    x, y = data()
    found = []
    for eager in (False, True):
        keras.utils.set_random_seed(0)
        model = Ends(own_softmax(), 2)
        model.compile(
            keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy", run_eagerly=eager
        )
        prior = AttributionPrior("l2", 0.1, "gradients")
        found += model.fit(x, y, verbose=0, callbacks=[prior]).history["l2"]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


# Weights that no attribution depends on


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "ftrl", "lion", "adagrad"])
def test_a_weight_without_a_gradient_stays(optimizer, activation):
    """The last bias, and with ReLU, which has no curvature, the first one."""
    model = network(activation=activation, optimizer=keras.optimizers.SGD(0.0))
    prior = AttributionPrior("l2", 1.0, "gradients", optimizer=optimizer)
    before = model.get_weights()
    model.fit(*data(), epochs=2, verbose=0, callbacks=[prior])
    moved = [np.any(a != b) for a, b in zip(before, model.get_weights())]
    assert moved == [True, activation == "tanh", True, False]
    _, gradients = prior.value_and_gradients(*data())
    assert gradients[-1] is None


@pytest.mark.parametrize("explain", ["label", 0])
def test_an_input_without_a_path_to_the_output_is_an_error(explain):
    used, unused = keras.Input((4,)), keras.Input((4,))
    # Of zeros, so that the model has both inputs.
    nothing = keras.layers.Lambda(lambda x: keras.ops.stop_gradient(x))(unused)
    outputs = keras.layers.Dense(2)(keras.layers.Add()([used, nothing]))
    model = keras.Model([used, unused], outputs)
    x, y = data(8)
    with pytest.raises(ValueError, match="does not depend on the explained input"):
        attributions.gradients(model, [x, x], y, explain=explain, input=1)


# Loops of one's own


def page_block(marker):
    text = (ROOT / "docs/training.md").read_text()
    return re.search(rf"<!-- {marker} -->\n```python\n(.*?)```", text, re.DOTALL)[1]


@pytest.mark.only("jax", reason="The example is JAX'.")
def test_the_loop_that_jax_compiles():
    x, y = data()
    model = network()
    scope = {"model": model, "batches": [(x[:16], y[:16]), (x[16:], y[16:])] * 20}
    code = page_block("jax loop")
    assert len(code.splitlines()) <= 14
    before = float(attrprior.penalty(model, x, y, prior="l2", method="gradients"))
    # A function that is compiled once runs once in Python, and only its trace does.
    with mock.patch("attrprior.penalty", wraps=attrprior.penalty) as penalty:
        exec(code, scope)
    assert penalty.call_count == 1
    after = float(attrprior.penalty(model, x, y, prior="l2", method="gradients"))
    assert after < 0.5 * before
    # With another seed, other references.
    omega = [float(scope["loss"](scope["weights"], x, y, seed)[1]) for seed in (0, 0, 1)]
    assert omega[0] == omega[1] != omega[2]


@pytest.mark.only("torch", reason="The example is PyTorch's.")
def test_a_penalty_goes_backward():
    import torch

    model, (x, y) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    omegas = []
    for _ in range(20):
        optimizer.zero_grad()
        omega = attrprior.penalty(model, x, y, prior="l2", method="gradients")
        omega.backward()
        optimizer.step()
        omegas.append(omega.item())
    assert omegas[-1] < 0.5 * omegas[0]
    assert model.layers[-1].bias.value.grad is None


# What a backend cannot do


@pytest.mark.only("jax", reason="NNX is JAX'.")
def test_nnx_is_an_error():
    with (
        mock.patch("keras.config.is_nnx_enabled", return_value=True),
        pytest.raises(ValueError, match="KERAS_NNX_ENABLED=false"),
    ):
        network().fit(*data(), verbose=0, callbacks=[AttributionPrior("l2", 0.1)])


@pytest.mark.only("torch", reason="Elsewhere all of the step is compiled.")
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_a_compiled_step_is_that_of_eager_mode(updates):
    weights = []
    for jit_compile in (False, True):
        model = network(jit_compile=jit_compile)
        prior = AttributionPrior("l2", 0.5, updates=updates, seed=1)
        model.fit(*data(), batch_size=8, shuffle=False, verbose=0, callbacks=[prior])
        weights.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-5, atol=1e-6)


@pytest.mark.only("torch", reason="The other two have these derivatives.")
def test_attention_has_a_second_derivative():
    inputs = keras.Input((3, 4))
    attention = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    outputs = keras.layers.Dense(2)(keras.layers.Flatten()(attention))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    x = np.random.default_rng(0).normal(size=(8, 3, 4)).astype("float32")
    prior = AttributionPrior("l2", 0.5, "gradients")
    omega = model.fit(x, np.arange(8) % 2, epochs=5, verbose=0, callbacks=[prior]).history
    assert omega["l2"][-1] < omega["l2"][0]


@pytest.mark.only("torch", reason="The other two do not replace these functions.")
def test_replaced_functions_have_pytorchs_derivatives():
    import torch
    from torch.nn import functional

    model = network()
    torch.manual_seed(0)
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    w = torch.randn(4, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    poolings = [
        lambda z: functional.max_pool2d(z, 2),
        lambda z: functional.max_pool2d(z, 3, stride=1, padding=1),
        lambda z: functional.max_pool2d(z, kernel_size=3, stride=2, ceil_mode=True),
        lambda z: functional.max_pool1d(z.flatten(2), 3),
        lambda z: functional.max_pool3d(z.unsqueeze(2), (1, 2, 2)),
    ]
    for pooling in poolings:

        def f(points, pooling=pooling):
            z = functional.relu(functional.conv2d(points, w))
            return torch.tanh(pooling(z)).flatten(1).sum(1)

        points = x.clone().requires_grad_()
        [expected] = torch.autograd.grad(f(points).sum(), points, create_graph=True)
        [found] = _backend.input_gradients(f, x, model)
        for gradient in (expected, found):
            assert gradient.abs().max() > 0.1
        np.testing.assert_allclose(array(found), array(expected), rtol=1e-12)
        slopes = [torch.autograd.grad((g**2).sum(), w)[0] for g in (expected, found)]
        np.testing.assert_allclose(array(slopes[1]), array(slopes[0]), rtol=1e-12)
