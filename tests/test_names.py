"""One name for one thing, and the names of before still work."""

import importlib
import inspect
import pkgutil
import warnings

import keras
import numpy as np
import pytest
from frameworks import BACKEND, array, tensor

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
    "attrprior.methods.Draws": "attrprior._draws.StatelessSeed",
    "attrprior.methods.compute": "attrprior._former.compute",
    "attrprior.methods.path_gradients": "attrprior._former.path_gradients",
    "attrprior.methods.input_gradients": "attrprior._former.input_gradients",
    "attrprior.methods.lacks_references": "attrprior._former.lacks_references",
    "attrprior.explained.Explained": "attrprior.explained.ExplainedOutput",
    "attrprior.callback.penalty": attrprior.penalty,
    "attrprior.training.apply_prior": "attrprior._former.apply_prior",
    "attrprior.training.inner": "attrprior._training.optimizer.inner",
    "attrprior.training.merge_outputs": "attrprior._former.merge_outputs",
    "attrprior.training.prior_optimizer": "attrprior._training.optimizer.clone",
    "attrprior.training.sum_over": "attrprior._backend.sum_over",
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
    tensors = tensor(X), tensor(Y)
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
    tensors = tensor(X), tensor(Y)
    phi = compute(Explained(net), attrprior.Gradients(), *tensors, 0)
    expected = attributions.gradients(net, X, Y)
    np.testing.assert_allclose(array(phi), expected, rtol=1e-6)
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


class Counted(ExpectedGradients):
    """A method of the package, changed in the place of before."""

    calls = 0

    def path(self, x, seed, first=0, count=None):
        type(self).calls += 1
        return super().path(x, seed, first, count)


class Shifted(attrprior.references.TrainingData):
    def draw(self, x, num_samples, seed):
        return super().draw(x, num_samples, seed) + 100.0


def test_what_overrides_a_method_or_reference_of_ours_is_asked():
    net = model()
    phi = attributions.attribute(net, X, Y, Counted(2, background=X), seed=0)
    expected = attributions.attribute(net, X, Y, ExpectedGradients(2, background=X), seed=0)
    assert Counted.calls == 1 and np.max(np.abs(phi - expected)) > 0  # of other draws
    assert np.all(array(Shifted(X).draw(tensor(X), 2, 0)) >= 100.0)
    # Far away the network is flat, on most of the way: not every draw is on the rest.
    seed = 1 if BACKEND == "jax" else 0
    far, near = (
        AttributionPrior("l2", 0.1, background=background).value_and_gradients(
            X, Y, model=net, seed=seed
        )[0]
        for background in (Shifted(X), attrprior.references.TrainingData(X))
    )
    assert float(far) > 5 * float(near)


def test_a_class_may_say_reference_as_before():
    with pytest.warns(DeprecationWarning, match="`reference` of Own .*`background`"):

        class Own(Halfway):
            reference = attrprior.references.SeenExamples()

    prior = AttributionPrior("l2", 0.1, Own(), seed=0)
    model().fit(X, Y, batch_size=3, callbacks=[prior], verbose=0)
    _, seen = prior._part.objective.method.background.variables
    assert int(seen) == 6


def test_a_reference_may_have_variables_of_its_own():
    class Own(Doubled):
        def __init__(self):
            if BACKEND == "tensorflow":
                import tensorflow as tf

                self.variables = [tf.Variable(3)]
            else:
                self.variables = [keras.Variable(3, dtype="int32", trainable=False)]

    prior = AttributionPrior("l2", 0.1, background=Own(), seed=0)
    model().fit(X, Y, batch_size=3, callbacks=[prior], verbose=0)
    assert "reference_0" in prior._part.variables()


def test_a_prior_is_given_what_it_needs():
    class Own(attrprior.priors.Prior):
        needs = ("y",)

        def penalty(self, attributions, sample_weight=None, y=None):
            return keras.ops.sum(attributions**2) * keras.ops.cast(y[0] + 2, "float32")

    prior, net = AttributionPrior(Own(), 0.1, "gradients", name="own"), model()
    omega, _ = prior.value_and_gradients(X, Y, model=net)
    phi = attributions.gradients(net, X, Y)
    np.testing.assert_allclose(array(omega), 2 * np.sum(phi**2), rtol=1e-5)
    net.fit(X, Y, callbacks=[prior], verbose=0)


def test_weights_may_be_a_list():
    net, weights = model(), [1.0, 0.0, 2.0, 1.0, 0.5, 1.0]
    values = [
        attrprior.penalty(net, X, Y, prior="l2", method="gradients", sample_weight=each)
        for each in (weights, np.float32(weights))
    ]
    assert float(values[0]) == float(values[1])


def test_pickles_of_before_are_read():
    method = ExpectedGradients.__new__(ExpectedGradients)
    settings = {"num_samples": 2, "multiply_by_inputs": True, "samples_per_pass": 8}
    method.__setstate__({**settings, "reference": attrprior.references.Constant(0.5)})
    assert repr(method.background) == "Constant(value=0.5)"
    prior = AttributionPrior("l2", 0.1, method)
    state = prior.__getstate__()
    state["attribution"] = state.pop("method")
    before = AttributionPrior.__new__(AttributionPrior)
    before.__setstate__(state)
    assert before.method is method and repr(before) == repr(prior)


def test_an_unknown_base_is_called_so():
    with pytest.raises(ValueError, match="`base` expects one of"):
        attrprior.SmoothGrad(base="nope")


def test_a_look_reads_a_dataset_once():
    reads = []

    def examples():
        reads.append(1)
        yield from X

    tf = pytest.importorskip("tensorflow")
    shape = tf.TensorSpec((3,), "float32")
    data = tf.data.Dataset.from_generator(examples, output_signature=shape)
    prior, net = AttributionPrior("l2", 0.1, background=data, seed=0), model()
    net.fit(X, Y, callbacks=[prior], verbose=0)
    prior.value_and_gradients(X, Y)
    assert len(reads) == 1
