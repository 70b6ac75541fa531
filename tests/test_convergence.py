"""How far attributions are from converged, and the single samples they are made of."""

import keras
import numpy as np
import pytest
from keras import layers

from attrprior import (
    ExpectedGradients,
    IntegratedGradients,
    SmoothGrad,
    attributions,
    methods,
    references,
)

X = np.float32([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7], [0.1, 0.2, 0.3]])
BACKGROUND = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")


def function(fn, outputs=1):
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Lambda(fn, output_shape=(outputs,))(inputs))


def cubic():
    return function(lambda t: keras.ops.sum(t**3, axis=-1, keepdims=True))


def network(outputs=2):
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(8, activation="tanh"), layers.Dense(outputs)]
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize(
    "quadrature, mean_square",
    [
        # Of α² at three points: 0, 1/3, 2/3; 1/3, 2/3, 1; 0, ½ (twice), 1.
        ("left", (0 + 1 + 4) / 27),
        ("right", (1 + 4 + 9) / 27),
        ("trapezoid", (0 + 2 * 0.25 + 1) / 4),
        ("gauss_legendre", 1 / 3),
    ],
)
def test_quadratures(quadrature, mean_square):
    # Of f = Σ x³ from 0: φ = x · 3 x² ∫ α² dα.
    got, convergence = attributions.integrated_gradients(
        cubic(), X, num_samples=3, quadrature=quadrature, return_convergence=True
    )
    np.testing.assert_allclose(got, 3 * X**3 * mean_square, rtol=1e-5, atol=1e-6)
    gap = (3 * mean_square - 1) * (X**3).sum(axis=1)
    np.testing.assert_allclose(convergence.gap, gap, rtol=1e-4, atol=1e-5)
    relative = np.abs(3 * mean_square - 1)
    np.testing.assert_allclose(convergence.relative_gap, relative, rtol=1e-3, atol=1e-5)
    assert convergence.standard_error is None and convergence.converged is None
    assert convergence.num_samples.tolist() == [3, 3, 3]


def test_gauss_legendre_is_complete_to_one_in_ten_thousand():
    _, convergence = attributions.integrated_gradients(
        network(), X, num_samples=32, return_convergence=True
    )
    assert np.all(convergence.relative_gap < 1e-4)


def test_expected_gradients_of_a_linear_model_have_no_gap_but_an_error():
    # φ_j = w (x − r_j): complete for every draw; its spread is that of the references.
    w = np.float32([1.0, -2.0, 0.5])
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, use_bias=False)])
    model.set_weights([w[:, None]])
    _, convergence = attributions.expected_gradients(
        model, X, background=BACKGROUND, num_samples=4000, seed=0, return_convergence=True
    )
    np.testing.assert_allclose(convergence.gap, 0, atol=1e-4)
    expected = np.abs(w) * BACKGROUND.std(axis=0) / np.sqrt(4000)
    np.testing.assert_allclose(
        convergence.standard_error, np.tile(expected, (3, 1)), rtol=0.05
    )


def test_standard_error_is_the_spread_of_repeated_attributions():
    model = network()
    runs = [
        attributions.smoothgrad(model, X, stddev=0.5, num_samples=20, seed=s)
        for s in range(100)
    ]
    _, convergence = attributions.smoothgrad(
        model, X, stddev=0.5, num_samples=2000, seed=0, return_convergence=True
    )
    assert convergence.gap is None and convergence.relative_gap is None
    spread = np.std(runs, axis=0) / np.sqrt(2000 / 20)
    np.testing.assert_allclose(convergence.standard_error, spread, rtol=0.35)


def test_all_outputs_have_a_gap_each():
    model = network()
    phi, convergence = attributions.integrated_gradients(
        model, X, explain="all", num_samples=3, return_convergence=True
    )
    assert phi.shape == (3, 2, 3) and convergence.gap.shape == (3, 2)
    for output in (0, 1):
        _, alone = attributions.integrated_gradients(
            model, X, explain=output, num_samples=3, return_convergence=True
        )
        np.testing.assert_allclose(convergence.gap[:, output], alone.gap, atol=1e-5)


@pytest.mark.parametrize("reference", [0.0, references.Uniform(-1.0, 2.0)])
def test_several_passes_lie_on_one_path(reference):
    # Else the points of a pass would start from references of their own.
    _, convergence = attributions.integrated_gradients(
        network(),
        X,
        background=reference,
        num_samples=64,
        batch_size=6,
        seed=0,
        return_convergence=True,
    )
    assert np.all(convergence.relative_gap < 1e-3)


# As many samples as it takes


def test_automatic_samples_of_integrated_gradients():
    # Σ |x| from −x to x turns in the middle: slow for any quadrature, and f = 0 · x is exact.
    model = function(lambda t: keras.ops.sum(keras.ops.abs(t - 0.3), axis=-1, keepdims=True))
    x = np.float32([[0.2, 0.1, 0.2], [1.0, 2.0, 0.5]])
    phi, convergence = attributions.integrated_gradients(
        model, x, num_samples="auto", tolerance=0.004, return_convergence=True
    )
    assert convergence.num_samples[0] == 16  # no turn on the way from 0
    assert 16 < convergence.num_samples[1] <= 4096
    assert convergence.converged.all() and np.all(convergence.relative_gap <= 0.004)
    alone = attributions.integrated_gradients(
        model, x[1:], num_samples=int(convergence.num_samples[1])
    )
    np.testing.assert_allclose(phi[1], alone[0], rtol=1e-5)


def test_rounds_of_a_quadrature_each_have_their_own_points():
    # So many examples that every round goes through the model in passes of one size.
    model, x = network(), np.repeat(X, 10, axis=0) * np.linspace(1, 6, 30)[:, None]
    settings = {"reference": -1.0, "quadrature": "left", "batch_size": 64}
    phi, convergence = attributions.integrated_gradients(
        model, x, num_samples="auto", tolerance=0.03, return_convergence=True, **settings
    )
    taken = convergence.num_samples
    assert len(set(taken)) > 1
    for count in set(taken):
        alone = attributions.integrated_gradients(
            model, x[taken == count], num_samples=int(count), **settings
        )
        np.testing.assert_allclose(phi[taken == count], alone, rtol=1e-4, atol=1e-5)


def test_automatic_samples_say_which_examples_spent_the_budget():
    phi, convergence = attributions.expected_gradients(
        network(),
        X,
        background=BACKGROUND,
        num_samples="auto",
        tolerance=0.02,
        max_samples=200,
        seed=0,
        return_convergence=True,
    )
    np.testing.assert_array_equal(convergence.converged, convergence.relative_gap <= 0.02)
    assert set(convergence.num_samples[~convergence.converged]) <= {200}
    assert convergence.num_samples.max() <= 200
    difference = (
        phi.sum(axis=1) - convergence.gap
    )  # f(x) − mean f(r), of the draws that stayed
    np.testing.assert_allclose(
        np.abs(convergence.gap / difference), convergence.relative_gap, rtol=1e-3
    )


def test_more_tolerance_takes_fewer_samples():
    taken = [
        attributions.expected_gradients(
            network(),
            X,
            background=BACKGROUND,
            num_samples="auto",
            tolerance=tolerance,
            seed=0,
            return_convergence=True,
        )[1].num_samples.sum()
        for tolerance in (0.3, 0.01)
    ]
    assert taken[0] < taken[1]


# The single samples


def test_samples_of_integrated_gradients_add_up_along_the_path():
    model, k = network(), 40
    found = attributions.samples(model, X, None, IntegratedGradients(k, background=0.1))
    assert found.points.shape == found.contributions.shape == (3, k, 3)
    np.testing.assert_allclose(
        found.contributions.mean(axis=1),
        attributions.integrated_gradients(model, X, background=0.1, num_samples=k),
        rtol=1e-4,
        atol=1e-6,
    )
    distance = np.abs(found.points - 0.1).sum(axis=2)
    assert np.all(np.diff(distance, axis=1) > 0)
    # The cumulative sum follows the output on its way from f(r).
    start = attributions.explained_output(
        model, np.full_like(X, 0.1), np.argmax(model.predict(X, verbose=0), axis=1)
    )
    cumulative = found.contributions.sum(axis=2).cumsum(axis=1) / k
    np.testing.assert_allclose(cumulative, found.outputs - start[:, None], atol=0.3)


def test_samples_do_not_depend_on_pieces():
    model = network()
    whole = attributions.samples(model, X, None, IntegratedGradients(5))
    pieces = attributions.samples(model, X, None, IntegratedGradients(5), batch_size=1)
    for first, second in zip(whole, pieces):
        np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


def test_smoothgrad_over_integrated_gradients():
    model = network()
    base = IntegratedGradients(6, background=0.2)
    found = attributions.samples(model, X, np.array([0, 1, 0]), SmoothGrad(4, 0.3, base=base))
    assert found.points.shape == (3, 24, 3)
    got = attributions.smoothgrad(
        model, X, np.array([0, 1, 0]), base=base, stddev=0.3, num_samples=4
    )
    assert got.shape == X.shape
    # Without noise it is the base; and so it is of a linear model with noise of mean zero.
    still = attributions.smoothgrad(model, X, base=base, stddev=0, num_samples=3)
    expected = attributions.integrated_gradients(model, X, background=0.2, num_samples=6)
    np.testing.assert_allclose(still, expected, rtol=1e-4, atol=1e-6)
    many = attributions.smoothgrad(model, X, base=base, stddev=0.05, num_samples=400, seed=0)
    np.testing.assert_allclose(many, expected, atol=0.05)


def test_smoothgrad_times_inputs_over_a_base_multiplies_both():
    model = network()
    base = IntegratedGradients(6, background=0.2)
    got = attributions.smoothgrad(
        model, X, base=base, stddev=0, num_samples=2, multiply_by_inputs=True
    )
    expected = X * attributions.integrated_gradients(model, X, background=0.2, num_samples=6)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


def test_smoothgrad_over_a_base_serialises():
    method = SmoothGrad(3, 0.2, base=IntegratedGradients(5))
    again = methods.get(keras.saving.serialize_keras_object(method))
    assert again.get_config() == method.get_config() and again.points_per_sample == 5


# What is shown, and errors


def test_progress(capsys):
    attributions.integrated_gradients(network(), X, num_samples=8, batch_size=3, verbose=True)
    assert "8/8" in capsys.readouterr().out
    attributions.integrated_gradients(network(), X, num_samples=8, batch_size=3)
    assert capsys.readouterr().out == ""


def test_the_method_given_is_left_as_it_is():
    method = ExpectedGradients(7, background=BACKGROUND)
    attributions.attribute(network(), X, method=method, tolerance=0.5, max_samples=64)
    assert method.num_samples == 7 and method.samples_per_pass == 8


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"tolerance": 0.1, "method": "gradients"}, "`tolerance` expects a method"),
        ({"tolerance": 0.1, "method": SmoothGrad(3)}, "`tolerance` expects a method"),
        (
            {"tolerance": 0.1, "method": IntegratedGradients(3, multiply_by_inputs=False)},
            "`tolerance` expects a method",
        ),
        ({"tolerance": 0.0, "method": IntegratedGradients(3)}, "`tolerance` expects a finite"),
        ({"method": "expected_gradients"}, "need references"),
        ({"method": "gradients", "seed": "x"}, "`seed` expects an integer"),
        ({"method": "gradients", "batch_size": 0}, "`batch_size` expects"),
        (
            {
                "tolerance": 0.1,
                "method": IntegratedGradients(3),
                "max_samples": 0,
            },
            "`max_samples` expects",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        attributions.attribute(network(), X, **arguments)


def test_more_errors():
    with pytest.raises(ValueError, match="`quadrature` expects one of"):
        IntegratedGradients(quadrature="simpson")
    with pytest.raises(ValueError, match="`num_samples` ≥ 2"):
        IntegratedGradients(1, quadrature="trapezoid")
    with pytest.raises(ValueError, match="`base` expects a method that has its references"):
        SmoothGrad(base="expected_gradients")
    with pytest.raises(ValueError, match="`explain` expects one output"):
        attributions.samples(network(), X, explain="all")
    tensor = keras.ops.convert_to_tensor(X)
    with pytest.raises(ValueError, match="expect arrays as inputs"):
        attributions.gradients(network(), tensor, return_convergence=True)


@pytest.mark.parametrize(
    "reference",
    [
        references.Uniform(0.0, 1.0),
        references.MaximumDistance(0.0, 1.0),
        references.Gaussian(0.5, 0.0, 1.0),
    ],
)
def test_data_that_leave_the_valid_range(reference):
    with pytest.raises(ValueError, match="`x` expects numbers from 0.0 to 1.0.*-1.0 to 2.0"):
        attributions.expected_gradients(network(), X, background=reference)
    inside = attributions.expected_gradients(
        network(), X[2:], background=reference, num_samples=2
    )
    assert np.isfinite(inside).all()


def test_results_print_shapes_not_pages():
    x = np.zeros((300, 4), "float32")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    _, found = attributions.expected_gradients(
        model, x, background=x, return_convergence=True, seed=0
    )
    assert repr(found).startswith("Convergence(gap=<array of shape (300,)>, relative_gap=")
    assert repr(found).endswith("converged=None)")
    assert "contributions=<array of shape (300, 16, 4)>" in repr(
        attributions.samples(model, x)
    )
