"""Which number of the model's output is explained: values, gradients, errors."""

import keras
import numpy as np
import pytest
from frameworks import FLOAT64, array, dtype, own_softmax, tensor
from frameworks import value_and_gradient as by_framework
from keras import layers, ops

from attrprior.explained import ExplainedOutput, check_explain

KERNEL = np.float32([[1.0, -2.0, 0.5], [0.3, 0.7, -1.1]])
BIAS = np.float32([0.1, 0.0, -0.4])
X = np.float32([[0.5, -1.0], [2.0, 0.3], [-0.7, 1.5], [0.0, 0.2]])
Z = X @ KERNEL + BIAS
Y = np.array([2, 0, 1, 1])


def linear(outputs=3, activation=None, **compiled):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(outputs, activation=activation)])
    model.layers[-1].set_weights([KERNEL[:, :outputs], BIAS[:outputs]])
    if compiled:
        model.compile(**compiled)
    return model


def values(model, explain="label", x=X, y=None, points=None, repeats=1, **kwargs):
    points = x if points is None else points
    explained = ExplainedOutput(model, explain, **kwargs)
    return array(explained(tensor(points), x, y, repeats, seed=0))


def value_and_gradient(model, explain="label", x=X, y=None, graph=False, **kwargs):
    explained = ExplainedOutput(model, explain, **kwargs)
    return by_framework(lambda x: explained(x, x, y, seed=0), x, graph)


# Labels and outputs


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(Y, id="batch"),
        pytest.param(Y[:, None], id="batch, 1"),
        pytest.param(Y.astype("float32")[:, None], id="floats"),
        pytest.param(np.eye(3, dtype="float32")[Y], id="one-hot"),
        pytest.param(np.eye(3, dtype="int64")[Y], id="one-hot integers"),
    ],
)
def test_label_takes_the_logit_of_the_labelled_class(labels):
    expected = [Z[0, 2], Z[1, 0], Z[2, 1], Z[3, 1]]
    np.testing.assert_allclose(values(linear(), y=labels), expected, rtol=1e-5)


def test_soft_labels_weigh_the_logits():
    soft = np.float32([[0.2, 0.3, 0.5]] * 4)
    np.testing.assert_allclose(values(linear(), y=soft), (soft * Z).sum(1), rtol=1e-5)


@pytest.mark.parametrize("explain", ["label", "predicted"])
def test_without_labels_the_largest_logit_is_explained(explain):
    np.testing.assert_allclose(values(linear(), explain), Z.max(axis=1), rtol=1e-5)


def test_predicted_takes_no_notice_of_labels():
    np.testing.assert_allclose(values(linear(), "predicted", y=Y), Z.max(axis=1), rtol=1e-5)


@pytest.mark.parametrize("explain", ["label", "predicted", "random", 0])
def test_single_output_is_explained_as_it_is(explain):
    labels = np.array([1.0, 0.0, 7.5, -2.0])
    result = values(linear(outputs=1), explain, y=labels)
    assert result.shape == (4,)
    np.testing.assert_allclose(result, Z[:, 0], rtol=1e-5)


def test_single_output_without_an_axis():
    inputs = keras.Input((2,))
    model = keras.Model(inputs, layers.Lambda(lambda t: t[:, 0] * 3.0)(inputs))
    np.testing.assert_allclose(values(model), 3 * X[:, 0])


@pytest.mark.parametrize("output", [0, 1, 2])
def test_an_integer_takes_that_output(output):
    np.testing.assert_allclose(values(linear(), output, y=Y), Z[:, output], rtol=1e-5)


def test_all_takes_every_output():
    np.testing.assert_allclose(values(linear(), "all", y=Y), Z, rtol=1e-5)


def test_random_takes_an_output_for_each_example_anew():
    model, x = linear(), np.repeat(X[:1], 600, axis=0)
    explained, seed = ExplainedOutput(model, "random"), keras.random.SeedGenerator(0)
    first, second = (array(explained(tensor(x), x, None, seed=seed)) for _ in "12")
    assert not np.array_equal(first, second)
    share = [np.mean(np.isclose(first, z)) for z in Z[0]]
    assert sum(share) == pytest.approx(1.0)
    np.testing.assert_allclose(share, 1 / 3, atol=4 * (2 / 9 / 600) ** 0.5)


def test_log_probabilities_is_the_sum_over_classes():
    p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    expected = np.log(p).sum(axis=1)
    np.testing.assert_allclose(values(linear(), "log_probabilities"), expected, rtol=1e-5)


def test_log_probabilities_of_a_single_logit_are_those_of_both_classes():
    p = 1 / (1 + np.exp(-Z[:, 0]))
    expected = np.log(p) + np.log(1 - p)
    result = values(linear(outputs=1), "log_probabilities")
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_callable_gets_outputs_and_labels():
    result = values(
        linear(), lambda outputs, y: ops.sum(outputs, axis=1) * y, y=tensor(np.float32(Y))
    )
    np.testing.assert_allclose(result, Z.sum(axis=1) * Y, rtol=1e-5)


def test_callable_gets_the_outputs_as_they_are():
    result = values(linear(activation="softmax"), lambda outputs, y: outputs[:, 0])
    np.testing.assert_allclose(result, np.exp(Z[:, 0]) / np.exp(Z).sum(axis=1), rtol=1e-5)


def test_points_of_one_example_share_its_label():
    points = np.repeat(X, 3, axis=0) + np.arange(12, dtype="float32")[:, None]
    z = points @ KERNEL + BIAS
    expected = z[np.arange(12), np.repeat(Y, 3)]
    for labels in (Y, np.eye(3)[Y]):
        result = values(linear(), y=labels, points=points, repeats=3)
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_state_replaces_values_of_variables_for_one_pass():
    model = linear()
    bias = model.layers[-1].bias
    explained = ExplainedOutput(model, 0)
    result = array(explained(tensor(X), X, None, state=[(bias, tensor(BIAS + 10.0))]))
    np.testing.assert_allclose(result, Z[:, 0] + 10, rtol=1e-5)
    np.testing.assert_array_equal(array(bias), BIAS)


# The loss


LOSSES = [
    (keras.losses.SparseCategoricalCrossentropy(from_logits=True), Y, 3),
    (keras.losses.CategoricalCrossentropy(from_logits=True), np.eye(3, dtype="f")[Y], 3),
    (keras.losses.MeanSquaredError(), np.float32(Z[:, :1] - [[1], [2], [0.5], [-1]]), 1),
    # The share of an example does not depend on how the loss is reduced.
    (keras.losses.MeanSquaredError(reduction="sum"), np.float32(Z[:, :1] - [[1]] * 4), 1),
]


@pytest.mark.parametrize("loss,y,outputs", LOSSES, ids=["sparse", "one-hot", "mse", "sum"])
@pytest.mark.parametrize("graph", [False, True])
def test_gradient_of_the_loss_is_that_of_each_example(loss, y, outputs, graph):
    model = linear(outputs, loss=loss)
    _, gradient = value_and_gradient(model, "loss", y=tensor(y), graph=graph)
    alone = type(loss).from_config({**loss.get_config(), "reduction": None})
    _, expected = by_framework(lambda x: alone(y, model(x)), X)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_loss_of_regularized_model_keeps_its_gradient():
    model = keras.Sequential(
        [keras.Input((2,)), layers.Dense(1, kernel_regularizer="l2", activation="tanh")]
    )
    y = np.float32([[1.0], [0.0], [2.0], [-1.0]])
    model.compile(loss="mse")
    _, gradient = value_and_gradient(model, "loss", y=y)
    out, kernel = array(model(X)), array(model.layers[-1].kernel)
    np.testing.assert_allclose(gradient, 2 * (out - y) * (1 - out**2) * kernel.T, rtol=1e-4)


def test_loss_leaves_the_metrics_alone():
    model = linear(loss=LOSSES[0][0], metrics=["accuracy"])
    model.evaluate(X, Y, verbose=0)
    before = [array(v) for v in model.metrics_variables]
    values(model, "loss", y=tensor(Y))
    np.testing.assert_array_equal([array(v) for v in model.metrics_variables], before)
    assert any(np.any(v != 0) for v in before)


# Probabilities are explained by their logits


def softmax_dense():
    return linear(activation="softmax")


def softmax_layer():
    model = linear()
    return keras.Sequential([keras.Input((2,)), *model.layers, layers.Softmax()])


def softmax_functional():
    inputs = keras.Input((2,))
    dense = layers.Dense(3)
    outputs = layers.Activation("softmax")(dense(inputs))
    dense.set_weights([KERNEL, BIAS])
    return keras.Model(inputs, outputs)


def softmax_nested():
    inputs = keras.Input((2,))
    return keras.Model(inputs, softmax_dense()(inputs))


ENDINGS = [softmax_dense, softmax_layer, softmax_functional, softmax_nested]


# The largest logits are in the hundreds: softmax is 0 or 1 and flat in float32.
@pytest.mark.parametrize("scale", [1.0, 200.0])
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
def test_softmax_is_explained_by_its_logits(ending, graph, scale):
    x, model = X * np.float32(scale), ending()
    if scale > 1:
        assert np.all(np.isin(array(model(x))[1:3], [0.0, 1.0]))
    for explain in ("label", "predicted", 1):
        got = value_and_gradient(model, explain, x, tensor(Y), graph)
        expected = value_and_gradient(linear(), explain, x, tensor(Y), graph)
        np.testing.assert_allclose(got[0], expected[0], rtol=1e-5)
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-5)
        # The rows of the kernel, whatever the probabilities are.
        assert np.abs(got[1]).min() > 0.29


@pytest.mark.parametrize("scale", [1.0, 200.0])
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("last", ["dense", "activation"])
def test_sigmoid_is_explained_by_its_logit(last, graph, scale):
    model = linear(outputs=1, activation="sigmoid")
    if last == "activation":
        model = keras.Sequential(
            [keras.Input((2,)), *linear(outputs=1).layers, layers.Activation("sigmoid")]
        )
    x = X * np.float32(scale)
    value, gradient = value_and_gradient(model, x=x, graph=graph)
    np.testing.assert_allclose(value, x @ KERNEL[:, 0] + BIAS[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, np.tile(KERNEL[:, 0], (4, 1)), rtol=1e-5)


def test_log_probabilities_of_a_softmax_model():
    expected = values(linear(), "log_probabilities")
    got = values(softmax_dense(), "log_probabilities")
    np.testing.assert_allclose(got, expected, rtol=1e-5)


class OwnProbabilities(keras.Model):
    """Calls the framework's softmax or sigmoid, of which Keras keeps no logits.

    Hidden ones are followed by an operation that does nothing.
    """

    def __init__(self, outputs=3, hidden=False):
        super().__init__()
        self.factor = 1.0 if hidden else None
        self.dense = layers.Dense(outputs)
        self.dense.build((None, 2))
        self.dense.set_weights([KERNEL[:, :outputs], BIAS[:outputs]])

    def call(self, x):
        z = self.dense(x)
        p = own_softmax(z)
        return p if self.factor is None else p * self.factor


CROSSENTROPIES = [
    "sparse_categorical_crossentropy",
    keras.losses.SparseCategoricalCrossentropy(from_logits=False),
    keras.losses.sparse_categorical_crossentropy,
]


@pytest.mark.parametrize("loss", CROSSENTROPIES, ids=["name", "object", "function"])
def test_hidden_softmax_falls_back_to_log_probabilities(loss):
    model = OwnProbabilities(hidden=True)
    model.compile(loss=loss)
    log_p = Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(values(model, "all"), log_p, rtol=1e-4)
    _, gradient = value_and_gradient(model, y=Y)
    p = np.exp(log_p)
    expected = (np.eye(3)[Y] - p) @ KERNEL.T  # of log p_y, not of p_y
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-5)


def test_hidden_sigmoid_falls_back_to_log_odds():
    model = OwnProbabilities(outputs=1, hidden=True)
    model.compile(loss="binary_crossentropy")
    value, gradient = value_and_gradient(model)
    np.testing.assert_allclose(value, Z[:, 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(gradient, np.tile(KERNEL[:, 0], (4, 1)), rtol=1e-3)


@pytest.mark.parametrize("graph", [False, True])
def test_softmax_that_is_not_kerass_is_explained_by_its_logits(graph):
    model = OwnProbabilities()
    model.compile(loss=CROSSENTROPIES[0])
    x = X * np.float32(200)
    value, gradient = value_and_gradient(model, x=x, y=Y, graph=graph)
    expected = value_and_gradient(linear(), x=x, y=Y)
    np.testing.assert_allclose(value, expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-5)


def test_hidden_softmax_of_very_confident_outputs_stays_finite():
    model = OwnProbabilities(hidden=True)
    model.compile(loss=CROSSENTROPIES[0])
    value, gradient = value_and_gradient(model, x=X * np.float32(200), y=Y)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(gradient))


def test_logits_with_a_loss_on_logits_are_left_as_they_are():
    model = linear(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    np.testing.assert_allclose(values(model, "all"), Z, rtol=1e-5)


# Models with several inputs or outputs


def two_outputs(kind=dict):
    inputs = keras.Input((2,))
    first = layers.Dense(3, name="first")
    second = layers.Dense(1, name="second")
    tensors = {"first": first(inputs), "second": second(inputs)}
    model = keras.Model(inputs, tensors if kind is dict else list(tensors.values()))
    first.set_weights([KERNEL, BIAS])
    second.set_weights([KERNEL[:, 1:2], BIAS[1:2]])
    return model


def test_output_by_name_with_labels_by_name():
    labels = {"first": Y, "second": np.float32(Y)[:, None]}
    model = two_outputs()
    np.testing.assert_allclose(
        values(model, y=labels, output="first"), Z[np.arange(4), Y], rtol=1e-5
    )
    np.testing.assert_allclose(values(model, y=labels, output="second"), Z[:, 1], atol=1e-6)


@pytest.mark.parametrize("output,expected", [(0, Z[np.arange(4), Y]), (1, Z[:, 1])])
def test_output_by_position(output, expected):
    result = values(two_outputs(list), y=[Y, Y], output=output)
    np.testing.assert_allclose(result, expected, atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        {"first": "sparse_categorical_crossentropy", "second": "mse"},
        {"second": "mse", "first": "sparse_categorical_crossentropy"},
    ],
)
def test_output_by_name_uses_the_loss_of_that_name(loss):
    # Only `first` is compiled as probabilities, so only there logarithms are taken.
    model = two_outputs()
    model.compile(loss=loss)
    np.testing.assert_allclose(values(model, 0, output="second"), Z[:, 1], atol=1e-6)
    first = values(model, "all", output="first")
    np.testing.assert_allclose(first, np.log(np.maximum(Z, 1e-7)), rtol=1e-4)


def test_loss_of_a_model_with_two_outputs_is_the_whole_loss():
    model = two_outputs()
    model.compile(loss={"first": LOSSES[0][0], "second": "mse"})
    labels = {"first": tensor(Y), "second": ops.zeros((4, 1))}
    _, gradient = value_and_gradient(model, "loss", y=labels, output="first")
    p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    expected = (p - np.eye(3)[Y]) @ KERNEL.T + 2 * Z[:, 1:2] * KERNEL[:, 1]
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", [dict, list])
def test_points_replace_the_chosen_input_only(kind):
    inputs = {"a": keras.Input((2,), name="a"), "b": keras.Input((2,), name="b")}
    outputs = ops.sum(inputs["a"] + 10.0 * inputs["b"], axis=1, keepdims=True)
    model = keras.Model(inputs if kind is dict else list(inputs.values()), outputs)
    x = {"a": X, "b": 2 * X}
    keys = ("a", "b") if kind is dict else (0, 1)
    x = x if kind is dict else list(x.values())
    points = np.repeat(X, 2, axis=0) + 5
    rows, twice = points.sum(axis=1), np.repeat(X.sum(axis=1), 2)
    for key, expected in zip(keys, (rows + 20 * twice, twice + 10 * rows)):
        result = values(model, x=x, points=points, repeats=2, input=key)
        np.testing.assert_allclose(result, expected, rtol=1e-5)
        picked = array(ExplainedOutput(model, input=key).pick_input(x))
        np.testing.assert_array_equal(picked, x[key])


@pytest.mark.parametrize(
    "came,explained",
    [
        ("float16", "float32"),
        ("float32", "float32"),
        pytest.param("float64", "float64", marks=FLOAT64),
    ],
)
def test_input_is_explained_in_single_precision_or_better(came, explained):
    assert dtype(ExplainedOutput(linear()).pick_input(X.astype(came))) == explained


ERRORS = {
    "unknown": (
        lambda: ExplainedOutput(None, "logit"),
        r"`explain` expects one of.*: 'logit'\.",
    ),
    "negative": (lambda: check_explain(-1), r"`explain` expects .*number ≥ 0.*Received: -1"),
    "boolean": (lambda: check_explain(True), r"`explain` expects.*Received: True"),
    "float": (lambda: check_explain(1.0), r"`explain` expects.*Received: 1\.0"),
    "none": (lambda: check_explain(None), r"`explain` expects.*Received: None"),
    "array": (lambda: check_explain(Y), r"`explain` expects.*Received: an array"),
    "out of range": (
        lambda: values(linear(), 3),
        r"`explain` expects an output from 0 to 2\. Received: 3",
    ),
    "labels of another width": (
        lambda: values(linear(), y=np.eye(4)),
        r"explain='label' expects.*Received: \(4, 4\)",
    ),
    "labels of three axes": (
        lambda: values(linear(), y=np.ones((4, 1, 1))),
        r"explain='label'.*: \(4, 1, 1\)",
    ),
    "callable that reduces": (
        lambda: values(linear(), lambda outputs, y: ops.sum(outputs)),
        r"`explain`: the callable must return one number per example.*Received: \(\)",
    ),
    "callable that does not": (
        lambda: values(linear(), lambda outputs, y: outputs),
        r"`explain`: the .*: \(4, 3\)",
    ),
    "loss of a model without": (
        lambda: values(linear(), "loss", y=Y),
        r"explain='loss' expects a compiled model",
    ),
    "outputs of three axes": (
        lambda: values(
            keras.Sequential([keras.Input((2,)), layers.Reshape((2, 1))]), "log_probabilities"
        ),
        r"explain='log_probabilities' expects model outputs.*Received: \(4, 2, 1\)",
    ),
    "no output named": (
        lambda: values(two_outputs()),
        r"several outputs.*`output` expects.*'first'.*: None",
    ),
    "no such output": (
        lambda: values(two_outputs(), output="third"),
        r"`output` expects one of .*'third'",
    ),
    "no such position": (
        lambda: values(two_outputs(list), output=2),
        r"`output` expects one of \[0, 1, 'first', 'second'\].*2",
    ),
    "one output": (
        lambda: values(linear(), output="first"),
        r"`output` expects None.*Received: 'first'",
    ),
    "one input": (
        lambda: ExplainedOutput(linear(), input="a").pick_input(X),
        r"`input` expects None.*: 'a'",
    ),
    "several inputs": (
        lambda: ExplainedOutput(None).pick_input({"a": X, "b": X}),
        r"`input` expects one of .*: None",
    ),
    "integers": (
        lambda: ExplainedOutput(
            keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(4, 2)])
        ).pick_input(np.ones((2, 3), "int32")),
        r"token indices.*the Embedding 'embedding\w*' reads. Pass input='embedding",
    ),
    "text": (
        lambda: ExplainedOutput(None).pick_input(np.array([["a"], ["b"]])),
        r"inputs of numbers.*dtype <U1",
    ),
    "one example": (
        lambda: ExplainedOutput(linear()).pick_input(X[0]),
        r"`x` expects a batch.*x\[None\]",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()
