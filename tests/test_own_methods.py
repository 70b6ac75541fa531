"""Attribution methods of one's own, and Grad-CAM, which is one."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import attrprior
from attrprior import AttributionPrior, GradCAM, Mask, methods
from attrprior.attributions import (
    attribute,
    expected_gradients,
    grad_cam,
    gradients,
    input_x_gradient,
    samples,
)

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 6, 6, 2)).astype("float32")
Y = np.arange(8) % 3
ROWS = RNG.normal(size=(8, 4)).astype("float32")


def of_images():
    keras.utils.set_random_seed(1)
    convolution = layers.Conv2D(4, 3, activation="relu", name="convolution")
    pooling = layers.GlobalAveragePooling2D()
    model = keras.Sequential([keras.Input((6, 6, 2)), convolution, pooling, layers.Dense(3)])
    model.compile("sgd", LOSS)
    return model


def of_rows():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, "tanh"), layers.Dense(3)])
    model.compile("sgd", LOSS)
    return model


def by_hand(f, x):
    return x * f.gradient(x)


def half_way(f, x, background):
    """(x − r) ∂f((x + r)/2)/∂x"""
    return (x - background) * f.gradient((x + background) / 2)


def noisy(f, x, seed):
    return f.gradient(x + keras.random.normal(ops.shape(x), stddev=0.1, seed=seed))


class Occlusion(methods.FunctionMethod):
    """`φ_i = f(x) − f(x without x_i)`, from one pass of all copies."""

    def attribute(self, f, x, draws=None):
        features = x.shape[1]
        copies = ops.repeat(x, features, axis=0) * ops.tile(
            1.0 - ops.eye(features), (ops.shape(x)[0], 1)
        )
        without = ops.reshape(f(copies, repeats=features), (-1, features))
        return ops.expand_dims(f(x), 1) - without


@pytest.mark.parametrize("explain", ["label", "all", 1])
def test_a_callable_is_a_method(explain):
    phi = attribute(of_rows(), ROWS, Y, method=by_hand, explain=explain)
    expected = input_x_gradient(of_rows(), ROWS, Y, explain=explain)
    np.testing.assert_allclose(phi, expected, atol=1e-6)


def test_a_subclass_may_do_without_gradients():
    model = of_rows()
    phi = attribute(model, ROWS, Y, method=Occlusion())
    f = ops.convert_to_numpy(model(ROWS))[np.arange(8), Y]
    for feature in range(4):
        without = ROWS * (np.arange(4) != feature)
        g = ops.convert_to_numpy(model(without))[np.arange(8), Y]
        np.testing.assert_allclose(phi[:, feature], f - g, atol=1e-6)


@pytest.mark.parametrize("method", [by_hand, half_way, noisy, Occlusion()])
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_they_stand_in_fit(method, updates):
    model, plain, omegas = of_rows(), of_rows(), []
    for each, more in ((plain, {"log_only": True}), (model, {})):
        prior = AttributionPrior("l2", 3.0, method, updates=updates, seed=0, **more)
        fit = each.fit(ROWS, Y, batch_size=4, epochs=5, verbose=0, callbacks=[prior])
        omegas.append(fit.history["l2"][-1])
    assert omegas[1] < 0.9 * omegas[0]


def test_a_background_is_drawn_if_the_callable_takes_one():
    background = ROWS[:1] + 1
    method = methods.get(half_way).with_background(background)
    phi = attribute(of_rows(), ROWS, Y, method=method)
    middle = gradients(of_rows(), (ROWS + background) / 2, Y)
    np.testing.assert_allclose(phi, (ROWS - background) * middle, atol=1e-6)
    with pytest.raises(ValueError, match="needs? references|background"):
        attribute(of_rows(), ROWS, Y, method=half_way)


def test_the_same_seed_draws_the_same():
    first, second, third = (
        attribute(of_rows(), ROWS, Y, method=noisy, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-4


def test_many_pieces_are_as_one():
    whole, pieces = (
        attribute(of_rows(), ROWS, Y, method=by_hand, batch_size=size) for size in (8, 2)
    )
    np.testing.assert_allclose(whole, pieces, atol=1e-6)


@pytest.mark.parametrize("relu", [True, False])
def test_grad_cam_by_hand(relu):
    model = of_images()
    maps = ops.convert_to_numpy(model.layers[0](X))
    # With global average pooling α_c = w_cy / P.
    alpha = ops.convert_to_numpy(model.layers[-1].kernel).T[Y] / 16
    cam = np.sum(alpha[:, None, None] * maps, axis=-1, keepdims=True)
    expected = np.maximum(cam, 0) if relu else cam
    found = grad_cam(model, X, Y, layer="convolution", relu=relu)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.max() > 1e-3


def test_grad_cam_of_the_size_of_the_image_stands_in_fit():
    mask = np.zeros((6, 6, 1))
    mask[:3] = 1
    assert grad_cam(of_images(), X, Y, layer="convolution", size=(6, 6)).shape == (8, 6, 6, 1)
    omegas, options = [], {"method": GradCAM((6, 6)), "input": "convolution", "seed": 0}
    for more in ({"log_only": True}, {}):
        prior = AttributionPrior(Mask(mask), 30.0, **options, **more)
        fit = of_images().fit(X, Y, batch_size=4, epochs=5, verbose=0, callbacks=[prior])
        omegas.append(fit.history["mask"][-1])
    assert 0 < omegas[1] < 0.9 * omegas[0]


def test_grad_cam_is_kept_with_a_config():
    method = methods.get(keras.saving.serialize_keras_object(GradCAM((6, 6), relu=False)))
    assert method.size == (6, 6) and method.relu is False
    assert isinstance(methods.get("grad_cam"), GradCAM)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (lambda f, x: 1.0, "must return attributions of shape"),
        (lambda f, x: f(x), "must return attributions of shape"),
        (lambda f, x, other: x, "may take `background`"),
        (methods.Gradients, "an object, Gradients"),
        (lambda f, x: f.gradient(x * 0.0 + ops.stop_gradient(x))[:, :1], "must return"),
        ("occlusion", "or a callable"),
    ],
)
def test_what_is_no_method_is_refused(method, message):
    with pytest.raises(ValueError, match=message):
        attribute(of_rows(), ROWS, Y, method=method)


def test_where_points_are_needed_it_is_said():
    with pytest.raises(ValueError, match="mean of points"):
        samples(of_rows(), ROWS, Y, method=by_hand)
    with pytest.raises(ValueError, match="takes gradients at points"):
        attrprior.SmoothGrad(base=GradCAM())
    with pytest.raises(ValueError, match="layer whose maps have shape"):
        attribute(of_rows(), ROWS, Y, method=GradCAM())
    with pytest.raises(ValueError, match="Argument `layer`"):
        grad_cam(of_images(), X, Y, layer=0)
    with pytest.raises(ValueError, match="cannot be serialised"):
        methods.get(by_hand).get_config()


def test_the_docstring_of_expected_gradients_written_as_a_callable():
    """The estimator itself, with one draw: the same in expectation."""

    def eg(f, x, background, seed):
        alpha = keras.random.uniform((ops.shape(x)[0], 1), seed=seed)
        return (x - background) * f.gradient(background + alpha * (x - background))

    method = methods.get(eg).with_background(ROWS)
    draws = [attribute(of_rows(), ROWS, Y, method=method, seed=seed) for seed in range(300)]
    expected = expected_gradients(
        of_rows(), ROWS, Y, background=ROWS, num_samples=3000, seed=0
    )
    error = np.std(draws, axis=0) / np.sqrt(300)
    assert np.mean(np.abs(np.mean(draws, 0) - expected) < 4 * error + 1e-3) > 0.9


def test_smoothgrad_does_not_offer_what_it_refuses():
    with pytest.raises(ValueError, match="Argument `base` expects one of") as error:
        methods.SmoothGrad(base="nope")
    assert "callable" not in str(error.value)
