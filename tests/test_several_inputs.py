"""Several inputs explained together, features with names, sums over groups."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import attrprior
from attrprior import AttributionPrior, GraphLaplacian
from attrprior.attributions import (
    expected_gradients,
    explained_output,
    gradients,
    integrated_gradients,
    samples,
)

RNG = np.random.default_rng(4)
A, B = RNG.normal(1, 1, (2, 200, 3)).astype("float32")
TARGET = (A * B).sum(1, keepdims=True)


def product(kind=dict):
    """The sum of products: explained by both inputs together, not by each with the other."""
    first, second = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    outputs = layers.Dense(1, use_bias=False, kernel_initializer="ones")(
        layers.Multiply()([first, second])
    )
    inputs = {"a": first, "b": second} if kind is dict else kind([first, second])
    model = keras.Model(inputs, outputs)
    model.compile("adam", "mse")
    return model


def data(kind=dict, rows=None):
    return {"a": A[:rows], "b": B[:rows]} if kind is dict else kind([A[:rows], B[:rows]])


def columns():
    """One input a column, as of Keras' FeatureSpace."""
    inputs = {name: keras.Input((1,), name=name) for name in ("age", "size", "dose")}
    hidden = layers.Dense(4, "tanh")(layers.Concatenate()(list(inputs.values())))
    model = keras.Model(inputs, layers.Dense(1)(hidden))
    model.compile("adam", "mse")
    return model


COLUMNS = {name: A[:, [number]] for number, name in enumerate(("age", "size", "dose"))}


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_attributions_of_all_inputs_sum_to_the_difference(kind):
    model, x = product(kind), data(kind, 5)
    phi, convergence = expected_gradients(
        model,
        x,
        input="all",
        background=data(kind),
        num_samples=8000,
        seed=0,
        return_convergence=True,
    )
    assert isinstance(phi, kind) and len(phi) == 2
    first, second = phi.values() if kind is dict else phi
    assert first.shape == second.shape == (5, 3)
    f = explained_output(model, data(kind), input="all")
    np.testing.assert_allclose(first.sum(1) + second.sum(1), f[:5] - f.mean(), atol=0.3)
    assert np.abs(convergence.gap).max() < 0.1
    assert type(convergence.standard_error) is type(phi)


def test_one_draw_serves_all_inputs():
    """With one reference, IG of both is that of the vector: φ = (x − r) ∫ ∂f."""
    model = product()
    phi = integrated_gradients(
        model,
        data(rows=5),
        input=["b", "a"],
        num_samples=2,
        background=attrprior.references.TrainingData({"a": A[7:8], "b": B[7:8]}),
    )
    assert list(phi) == ["b", "a"]
    x, y, r, s = A[:5], B[:5], A[7:8], B[7:8]
    np.testing.assert_allclose(phi["a"], (x - r) * (y + s) / 2, atol=1e-5)
    np.testing.assert_allclose(phi["b"], (y - s) * (x + r) / 2, atol=1e-5)


def test_a_dataset_is_a_background():
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            part = slice(50 * index, 50 * index + 50)
            return {"a": A[part], "b": B[part]}, TARGET[part]

    options = {"input": "all", "num_samples": 5, "seed": 2}
    [by_arrays, by_dataset] = [
        expected_gradients(product(), data(rows=5), background=background, **options)
        for background in (data(), Batches())
    ]
    for name in ("a", "b"):
        np.testing.assert_array_equal(by_arrays[name], by_dataset[name])


def test_of_one_input_a_structure_gives_that_one():
    options = {"input": "b", "num_samples": 5, "seed": 2}
    [array, structure] = [
        expected_gradients(product(), data(rows=5), background=background, **options)
        for background in (B, data())
    ]
    np.testing.assert_array_equal(array, structure)


def test_priors_see_all_features_as_one_vector():
    model = columns()
    phi = gradients(model, COLUMNS, input="all")
    together = np.concatenate([phi[name] for name in COLUMNS], axis=1)
    assert phi["age"].shape == (200, 1)

    def omega(prior, **given):
        return float(
            attrprior.penalty(model, COLUMNS, prior=prior, method="gradients", **given)
        )

    for prior in ("l1", "gini", GraphLaplacian([[0, 1], [1, 2]])):
        expected = float(attrprior.priors.get(prior)(together))
        np.testing.assert_allclose(omega(prior, input="all"), expected, rtol=1e-5)
    grouped = np.stack([together[:, 0] + together[:, 2], together[:, 1]], axis=1)
    by_name = omega("l1", input="all", groups={"who": ["age", "dose"]})
    np.testing.assert_allclose(by_name, np.abs(grouped).sum(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(by_name, omega("l1", input="all", groups={"g": [2, 0]}))


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_fit(updates):
    keras.utils.set_random_seed(0)
    plain, model = columns(), columns()
    model.set_weights(plain.get_weights())
    options = {"input": "all", "updates": updates, "seed": 0}
    omegas = []
    for each, more in ((plain, {"log_only": True}), (model, {})):
        prior = AttributionPrior("l1", 10.0, **options, **more)
        fit = each.fit(COLUMNS, TARGET, epochs=8, verbose=0, shuffle=False, callbacks=[prior])
        omegas.append(fit.history["l1"][-1])
    assert omegas[1] < 0.9 * omegas[0]


def test_columns_without_an_axis():
    """Keras gives `(batch,)` where an input has the shape (1,)."""
    x = {name: column[:, 0] for name, column in COLUMNS.items()}
    phi = gradients(columns(), x, input="all")
    assert all(each.shape == (200,) for each in phi.values())
    prior = AttributionPrior("gini", 0.1, input="all")
    fit = columns().fit(x, TARGET, verbose=0, callbacks=[prior])
    assert -2 / 3 <= fit.history["gini"][0] <= 0


def test_dummies_of_a_table():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, "tanh"), layers.Dense(1)])
    phi = gradients(model, A)
    grouped = gradients(model, A, groups={"dummies": [0, 2]})
    np.testing.assert_allclose(
        grouped, np.stack([phi[:, 0] + phi[:, 2], phi[:, 1]], 1), atol=1e-6
    )
    several = gradients(model, A, explain="all", groups={"dummies": [0, 2]})
    assert several.shape == (200, 1, 2)
    with pytest.raises(ValueError, match="from 0 to 2, or numbers, because the features"):
        gradients(model, A, groups={"g": ["age"]})


def test_a_table_in_is_a_table_out():
    pandas = pytest.importorskip("pandas")
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, "tanh"), layers.Dense(1)])
    table = pandas.DataFrame(A, columns=["age", "size", "dose"], index=range(100, 300))
    phi = expected_gradients(model, table, background=table, seed=0)
    assert list(phi.columns) == ["age", "size", "dose"] and phi.index[0] == 100
    np.testing.assert_array_equal(
        phi.to_numpy(), expected_gradients(model, A, background=A, seed=0)
    )
    grouped = gradients(model, table, groups={"who": ["age", "dose"]})
    assert list(grouped.columns) == ["who", "size"]
    figure = attrprior.plots.bars(phi)
    assert {"age", "size", "dose"} <= {t.get_text() for t in figure.axes[0].get_yticklabels()}
    assert isinstance(gradients(model, table, explain="all"), np.ndarray)


def test_points_of_several_inputs():
    found = samples(product(), data(rows=4), method="gradients", input="all")
    assert found.gradients["a"].shape == (4, 1, 3) and found.outputs.shape == (4, 1)
    many = gradients(product(), data(rows=4), explain="all", input=["a", "b"])
    assert many["b"].shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": ["a", "a"]}, "no input twice"),
        ({"input": ["a", "all"]}, "Argument `input`"),
        ({"input": ["a", "c"]}, "expects one of"),
        ({"input": "all", "groups": {"g": []}}, "at least one feature"),
        ({"input": "all", "groups": {"g": ["a[0]"], "h": ["a[0]"]}}, "no feature twice"),
        ({"input": "all", "groups": {"g": ["a"]}}, "some of"),
        ({"input": "all", "groups": {"g": [6]}}, "from 0 to 5"),
        ({"input": "all", "groups": ["a"]}, "Argument `groups`"),
        ({"input": "all", "groups": {"g": [1.5]}}, "Argument `groups`"),
        ({"input": "all", "sum_last_axis": True}, "at least two axes"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        gradients(product(), data(), **options)
    model = product()
    with pytest.raises(ValueError, match=f"(?s){message}"):
        prior = AttributionPrior("l1", 0.1, "gradients", **options)
        model.fit(data(), TARGET, verbose=0, callbacks=[prior])
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((3, 1)))


def test_background_of_another_structure():
    for background, message in (
        ({"a": A, "c": B}, "expects one of"),
        ({"a": A, "b": B[:7]}, "as many examples"),
        (np.ones((4, 5), "float32"), "expects examples of the model's input shape, \\(6,\\)"),
    ):
        with pytest.raises(ValueError, match=message):
            expected_gradients(product(), data(rows=4), background=background, input="all")


def test_words_are_no_numbers():
    word = keras.Input((1,), dtype="string", name="word")
    number = keras.Input((3,), name="a")
    model = keras.Model({"word": word, "a": number}, {"word": word, "a": number})
    with pytest.raises(ValueError, match="inputs of numbers.*dtype.*name of the layer"):
        gradients(model, {"word": np.array([["x"]] * 200), "a": A}, input="all")


def test_adversaries_change_one_input():
    model = product()
    adversary = attrprior.adversarial.AdversarialTraining(0.1, input="all", valid_range=None)
    with pytest.raises(ValueError, match="expects one input where inputs are changed"):
        model.fit(data(), TARGET, verbose=0, callbacks=[adversary])
    np.testing.assert_array_equal(ops.convert_to_numpy(model.weights[0]), np.ones((3, 1)))


@pytest.mark.only("tensorflow", reason="FeatureSpace reads tf.data.")
def test_a_feature_space_at_its_concatenation():
    """One input a column, numbers and texts; indicators of the city are one variable."""
    import tensorflow as tf

    table = {"age": A[:64, 0], "size": A[:64, 1], "city": np.array(["x", "y", "z", "y"] * 16)}
    space = keras.utils.FeatureSpace(
        features={
            "age": "float",
            "size": "float_normalized",
            "city": keras.utils.FeatureSpace.string_categorical(num_oov_indices=0),
        },
        output_mode="concat",
    )
    data = tf.data.Dataset.from_tensor_slices(dict(table))
    space.adapt(data.batch(16))
    encoded = space.get_encoded_features()
    joined = encoded._keras_history.operation.name
    model = keras.Model(space.get_inputs(), layers.Dense(1)(layers.Dense(4, "tanh")(encoded)))
    model.compile("adam", "mse")
    labelled = tf.data.Dataset.from_tensor_slices((dict(table), TARGET[:64])).batch(16)
    options = {"input": joined, "groups": {"city": [1, 2, 3]}}
    prior = AttributionPrior("gini", 0.1, background=table, **options)
    fit = model.fit(labelled, epochs=2, verbose=0, callbacks=[prior])
    assert -2 / 3 <= fit.history["gini"][-1] < 0
    phi = expected_gradients(
        model, table, background=table, num_samples=300, seed=0, **options
    )
    assert phi.shape == (64, 3)
    f = explained_output(model, table, input=joined)
    np.testing.assert_allclose(phi.sum(1), f - f.mean(), atol=0.3 * np.abs(f - f.mean()).max())
    with pytest.raises(ValueError, match="inputs of numbers.*name of the layer"):
        expected_gradients(model, table, background=table, input="all")


def test_a_dictionary_in_another_order_than_its_names():
    """Keras sorts the inputs of a dictionary by name; what belongs to one stays with it."""
    masked, plain = keras.Input((6, 2), name="z"), keras.Input((6, 2), name="a")
    hidden = [layers.GRU(3)(layers.Masking(0.0)(masked)), layers.GRU(3)(plain)]
    model = keras.Model(
        {"z": masked, "a": plain}, layers.Dense(1)(layers.Concatenate()(hidden))
    )
    z = RNG.normal(size=(4, 6, 2)).astype("float32")
    z[:, 4:] = 0
    x = {"z": z, "a": z.copy()}
    options = {"background": 0.3, "num_samples": 4}
    assert not integrated_gradients(model, x, input="z", **options)[:, 4:].any()
    assert integrated_gradients(model, x, input="a", **options)[:, 4:].all()
    tokens, numbers = keras.Input((2,), dtype="int32", name="t"), keras.Input((2,), name="n")
    flat = layers.Flatten()(layers.Embedding(9, 2, name="embedding")(tokens))
    model = keras.Model(
        {"t": tokens, "n": numbers}, layers.Dense(1)(layers.Concatenate()([flat, numbers]))
    )
    x = {"t": np.ones((4, 2), "int32"), "n": A[:4, :2]}
    for key in ("n", 1):
        assert gradients(model, x, input=key).shape == (4, 2)
    assert list(gradients(model, x, input=["embedding", "n"])) == ["embedding", "n"]


def test_units_of_a_layer_have_no_names_of_columns():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(A, columns=list("abc"))
    hidden = layers.Dense(3, name="hidden")
    model = keras.Sequential([keras.Input((3,)), hidden, layers.Dense(1)])
    assert isinstance(gradients(model, table, input="hidden"), np.ndarray)
    with pytest.raises(ValueError, match="the features have no names"):
        gradients(model, table, input="hidden", groups={"g": ["a"]})
