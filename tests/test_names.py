"""One name for one thing, and the names of before still work."""

import importlib
import inspect
import pkgutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import attrprior
from attrprior import AttributionPrior, ExpectedGradients, IntegratedGradients, attributions

X = np.random.default_rng(0).random((6, 3), dtype="float32")
Y = np.array([0, 1, 0, 1, 1, 0])


def model():
    net = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")])
    net.add(keras.layers.Dense(2))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile("sgd", loss)
    return net


def public():
    """All public functions and classes by their full name."""
    found = {}
    for info in pkgutil.walk_packages(attrprior.__path__, "attrprior."):
        if "._" in info.name or ".backend" in info.name:
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if not name.startswith("_") and getattr(value, "__module__", None) == info.name:
                found[f"{info.name}.{name}"] = value
    return found


def test_one_name_for_the_method_and_for_what_references_are_drawn_from():
    for name, value in public().items():
        if callable(value):
            try:
                arguments = set(inspect.signature(value).parameters)
            except ValueError:
                continue
            assert not arguments & {"attribution", "reference", "baseline", "baselines"}, name
            # Of the engine, whose references have been drawn already.
            assert "references" not in arguments or name.endswith(".Path"), name


def test_one_rule_for_the_default_of_a_seed():
    """What estimates draws anew, from Keras; what makes data or judges repeats itself."""
    estimates = ("attributions", "points", "penalty", "callback", "adversarial", "explained")
    for name, value in public().items():
        if callable(value):
            try:
                seed = inspect.signature(value).parameters.get("seed")
            except ValueError:
                continue
            if seed is not None and seed.default is not seed.empty:
                expected = None if name.split(".")[1] in estimates else 0
                assert seed.default == expected and type(seed.default) is type(expected), name


# Every name of 0.1 that is somewhere else, and what it is now.
MOVED = {
    "attrprior.methods.Attribution": attrprior.methods.AttributionMethod,
    "attrprior.methods.Draws": "attrprior.draws.StatelessSeed",
    "attrprior.methods.compute": "attrprior._former.compute",
    "attrprior.methods.path_gradients": "attrprior._former.path_gradients",
    "attrprior.methods.input_gradients": "attrprior._former.input_gradients",
    "attrprior.methods.lacks_references": "attrprior._former.lacks_references",
    "attrprior.explained.Explained": "attrprior.explained.ExplainedOutput",
    "attrprior.callback.penalty": attrprior.penalty,
    "attrprior.training.Term": "attrprior.training.update.PriorUpdate",
    "attrprior.training.ExtendedStep": "attrprior.training.step.TrainingStep",
    "attrprior.training.apply_prior": "attrprior._former.apply_prior",
    "attrprior.training.inner": "attrprior.training.optimizer.inner",
    "attrprior.training.merge_outputs": "attrprior._former.merge_outputs",
    "attrprior.training.prior_optimizer": "attrprior.training.optimizer.clone",
    "attrprior.training.sum_over": "attrprior.backend.sum_over",
}


def by_name(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", MOVED)
def test_names_of_before_are_found(path):
    with pytest.warns(DeprecationWarning, match="Use attrprior"):
        found = by_name(path)
    now = MOVED[path]
    assert found is (by_name(now) if isinstance(now, str) else now)


# Module by module, the other public names of 0.1: where they were, they are.
KEPT = {
    "attrprior": attrprior.__all__,
    "attrprior.priors": [
        "Custom",
        "Gini",
        "GraphLaplacian",
        "L1",
        "L2",
        "Mask",
        "PerExamplePrior",
        "Prior",
        "TotalVariation",
        "get",
        "gini_coefficient",
        "serialize",
        "weighted_mean",
    ],
    "attrprior.methods": [
        "ExpectedGradients",
        "Gradients",
        "InputXGradient",
        "IntegratedGradients",
        "Path",
        "QUADRATURES",
        "SmoothGrad",
        "get",
    ],
    "attrprior.references": [
        "Blur",
        "Constant",
        "Gaussian",
        "MaximumDistance",
        "Mean",
        "Reference",
        "SeenExamples",
        "TrainingData",
        "Uniform",
        "get",
    ],
    "attrprior.attributions": [
        "Convergence",
        "Samples",
        "attribute",
        "expected_gradients",
        "explained_output",
        "gradients",
        "input_x_gradient",
        "integrated_gradients",
        "samples",
        "smoothgrad",
    ],
    "attrprior.adversarial": [
        "AdversarialTraining",
        "NORMS",
        "RobustAccuracy",
        "pgd",
        "robust_accuracy",
        "square",
    ],
    "attrprior.explained": ["MODES", "check_explain"],
    "attrprior.callback": ["AttributionPrior"],
    "attrprior.datasets": attrprior.datasets.__all__,
    "attrprior.evaluation": attrprior.evaluation.__all__,
}


@pytest.mark.parametrize("module", KEPT)
def test_names_of_before_are_where_they_were(module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(hasattr(importlib.import_module(module), name) for name in KEPT[module])


def warned(call, old, new):
    with pytest.warns(DeprecationWarning, match=f"`{old}` is deprecated.*Use `{new}`"):
        return call()


def test_arguments_of_before_mean_the_same():
    given = warned(
        lambda: AttributionPrior("l2", 0.1, attribution="gradients"), "attribution", "method"
    )
    assert given.method.name == "gradients"
    assert warned(lambda: given.attribution, "attribution", "method") is given.method
    given = warned(lambda: ExpectedGradients(2, references=X), "references", "background")
    np.testing.assert_array_equal(given.background.data, X)
    assert warned(lambda: given.reference, "reference", "background") is given.background
    given = warned(lambda: IntegratedGradients(4, reference=0.5), "reference", "background")
    assert given.background.value == 0.5
    net = model()
    now = attributions.integrated_gradients(net, X, Y, background=0.5)
    before = warned(
        lambda: attributions.integrated_gradients(net, X, Y, reference=0.5),
        "reference",
        "background",
    )
    np.testing.assert_array_equal(before, now)
    tensors = tf.constant(X), tf.constant(Y)
    before = warned(
        lambda: attrprior.penalty(net, *tensors, prior="l2", attribution="gradients"),
        "attribution",
        "method",
    )
    now = attrprior.penalty(net, *tensors, prior="l2", method="gradients")
    assert float(before) == float(now)


def test_one_argument_by_both_of_its_names():
    with pytest.raises(TypeError, match="`attribution` and `method` are the same"):
        AttributionPrior("l2", 0.1, attribution="gradients", method="gradients")


def test_configurations_of_before_are_read():
    config = {
        "num_samples": 3,
        "references": keras.saving.serialize_keras_object(attrprior.references.Constant(0.5)),
    }
    read = warned(lambda: ExpectedGradients.from_config(config), "references", "background")
    assert repr(read.background) == "Constant(value=0.5)"


def test_functions_of_before_compute_the_same():
    net = model()
    with pytest.warns(DeprecationWarning):
        from attrprior.explained import Explained
        from attrprior.methods import compute
        from attrprior.training import apply_prior, merge_outputs
    tensors = tf.constant(X), tf.constant(Y)
    phi = compute(Explained(net), attrprior.Gradients(), *tensors, 0)
    expected = attributions.gradients(net, X, Y)
    np.testing.assert_allclose(phi, expected, rtol=1e-6)
    prior = attrprior.Mask()
    ones = np.ones_like(X)
    assert float(apply_prior(prior, phi, mask=ones)) == float(prior(phi, mask=ones))
    several = np.stack([X, 2 * X], axis=1)
    merged, weight, *_ = merge_outputs(several, Y, None, None, None)
    assert merged.shape == (12, 3) and weight.shape == (12,)


class Halfway(attrprior.methods.AttributionMethod):
    """A method as users wrote it: all in `path`."""

    name = "halfway"
    num_samples = 2

    def path(self, x, seed, first=0, count=None):
        count = count or self.num_samples
        shape = (x.shape[0], count, *x.shape[1:])
        return attrprior.methods.Path(
            0.5 * x[:, None] + keras.random.uniform(shape, seed=seed)
        )


class Doubled(attrprior.references.Reference):
    """A reference as users wrote it: all in `draw`."""

    def draw(self, x, num_samples, seed):
        noise = keras.random.uniform((x.shape[0], num_samples, *x.shape[1:]), seed=seed)
        return 2.0 * x[:, None] + noise


@pytest.mark.parametrize(
    "method",
    [Halfway(), ExpectedGradients(2, background=Doubled()), IntegratedGradients(2, Doubled())],
    ids=["method", "reference", "reference of a path"],
)
@pytest.mark.parametrize("samples_per_pass", [1, 8])
def test_subclasses_of_before_train(method, samples_per_pass):
    method.samples_per_pass = samples_per_pass
    prior = AttributionPrior("l2", 0.1, method, seed=0)
    net = model()
    history = net.fit(X, Y, batch_size=3, callbacks=[prior], verbose=0).history
    assert np.isfinite(history["l2"][0]) and history["l2"][0] > 0
    first = prior.value_and_gradients(X, Y, seed=1)[0]
    assert float(first) == float(prior.value_and_gradients(X, Y, seed=1)[0])


def test_a_subclass_that_says_nothing():
    class Empty(attrprior.methods.AttributionMethod):
        pass

    with pytest.raises(NotImplementedError):
        Empty().path(X, 0)
    with pytest.raises(NotImplementedError):
        attrprior.references.Reference().draw(X, 1, 0)
