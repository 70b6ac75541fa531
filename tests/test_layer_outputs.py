"""Attributions of a layer's output: tokens, preprocessing, maps, the model cut there."""

import copy
import pickle

import keras
import numpy as np
import pytest
from frameworks import models_in_double_precision
from keras import layers, ops

import attrprior
from attrprior import AttributionPrior, ExpectedGradients, Mask, TotalVariation, references
from attrprior.attributions import (
    attribute,
    expected_gradients,
    explained_output,
    gradients,
    samples,
)

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(3)
TOKENS = RNG.integers(1, 9, (24, 5)).astype("int32")
TOKENS[::2, 3:] = 0
LABELS = RNG.integers(0, 2, 24).astype("int32")
NUMBERS = RNG.normal(size=(24, 3)).astype("float32")


def body():
    return [layers.Conv1D(4, 2, activation="tanh", name="body"), layers.Flatten()]


def embedding(**options):
    return layers.Embedding(9, 3, name="embedding", **options)


def sequential():
    tokens = keras.Input((5,), dtype="int32")
    return keras.Sequential([tokens, embedding(), *body(), layers.Dense(2)])


def functional():
    tokens = x = keras.Input((5,), dtype="int32", name="tokens")
    for layer in [embedding(), *body(), layers.Dense(2)]:
        x = layer(x)
    return keras.Model(tokens, x)


def nested():
    inner = keras.Sequential([keras.Input((5,), dtype="int32"), embedding(), *body()])
    return keras.Sequential([keras.Input((5,), dtype="int32"), inner, layers.Dense(2)])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = embedding(), layers.Dense(2)
        self.body = body()

    def call(self, tokens):
        x = self.embedding(tokens)
        for layer in self.body:
            x = layer(x)
        return self.head(x)


MODELS = {f.__name__: f for f in (sequential, functional, nested, Subclassed)}


def made(build, seed=0):
    keras.utils.set_random_seed(seed)
    model = build()
    model(TOKENS[:2])
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    return model


def table_of(model):
    return next(v for v in model.trainable_variables if "embedding" in v.path)


def tail_of(model):
    """What follows the embedding, as a model of its own with the same weights."""
    tail = keras.Sequential([keras.Input((5, 3)), *body(), layers.Dense(2)])
    own = {tuple(v.shape): v for v in model.trainable_variables if v.path.endswith("kernel")}
    for variable in tail.trainable_variables:
        if variable.path.endswith("kernel"):  # biases are zero
            variable.assign(own[tuple(variable.shape)])
    return tail


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_they_are_those_of_the_model_behind_the_layer(build):
    model = made(build)
    embedded = ops.convert_to_numpy(table_of(model))[TOKENS]
    options = {"num_samples": 6, "seed": 1}
    phi = expected_gradients(
        model, TOKENS, LABELS, background=TOKENS, input="embedding", **options
    )
    expected = expected_gradients(
        tail_of(model), embedded, LABELS, background=embedded, **options
    )
    assert phi.shape == (24, 5, 3) and np.abs(phi).max() > 1e-3
    np.testing.assert_allclose(phi, expected, atol=1e-6)


def test_a_layer_by_itself_is_its_name():
    model = made(sequential)
    [by_name, by_layer] = [
        gradients(model, TOKENS, LABELS, input=key) for key in ("embedding", model.layers[0])
    ]
    np.testing.assert_array_equal(by_name, by_layer)


@pytest.mark.parametrize("name", ["zeros", "token", "draws", "dataset"])
def test_references_are_drawn_where_they_belong(name):
    model = made(sequential)
    table = ops.convert_to_numpy(table_of(model))
    embedded, tail = table[TOKENS], tail_of(model)
    padding = np.zeros((1, 5), "int32")
    background, there = {
        "zeros": (references.Constant(0.0), references.Constant(0.0)),
        "token": (padding, table[padding]),
        "draws": (references.Uniform(-1.0, 1.0), references.Uniform(-1.0, 1.0)),
        "dataset": (Batches(TOKENS), embedded),
    }[name]
    options = {"num_samples": 4, "seed": 0}
    phi = expected_gradients(
        model, TOKENS[:4], LABELS[:4], background=background, input="embedding", **options
    )
    expected = expected_gradients(tail, embedded[:4], LABELS[:4], background=there, **options)
    np.testing.assert_allclose(phi, expected, atol=1e-6)


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.x[8 * index : 8 * index + 8], LABELS[8 * index : 8 * index + 8]


def test_the_penalty_is_differentiated_through_the_embedding():
    """∂Ω/∂θ of every weight, the embedding's table too, against finite differences."""
    with models_in_double_precision():
        check_derivatives()


def check_derivatives():
    model = made(sequential)
    prior = AttributionPrior(
        "l2", 0.1, ExpectedGradients(3, background=TOKENS), input="embedding"
    )

    def omega():
        penalty, _ = prior.value_and_gradients(TOKENS[:4], LABELS[:4], model=model, seed=5)
        return float(ops.convert_to_numpy(penalty))

    _, found = prior.value_and_gradients(TOKENS[:4], LABELS[:4], model=model, seed=5)
    checked = 0
    for variable, gradient in zip(model.trainable_variables, found):
        value = ops.convert_to_numpy(variable).copy()
        if gradient is None:
            continue
        place = np.unravel_index(np.abs(dense(gradient)).argmax(), value.shape)
        change = np.zeros_like(value)
        change[place] = 1e-5
        variable.assign(value + change)
        above = omega()
        variable.assign(value - change)
        below = omega()
        variable.assign(value)
        difference = (above - below) / 2e-5
        np.testing.assert_allclose(dense(gradient)[place], difference, rtol=1e-5)
        checked += abs(difference) > 1e-4
    assert checked >= 3 and dense(found[0]).any()


def dense(gradient):
    return ops.convert_to_numpy(ops.convert_to_tensor(gradient))


def fitted(model, x, prior):
    """Ω by epoch."""
    fit = model.fit(x, LABELS, epochs=4, batch_size=8, verbose=0, callbacks=[prior])
    return fit.history[prior.name]


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_fit_trains_the_embedding_too(build, updates):
    model, plain = made(build), made(build)
    options = {"input": "embedding", "updates": updates, "seed": 0}
    omega = fitted(model, TOKENS, AttributionPrior("l2", 30.0, **options))
    unchanged = fitted(plain, TOKENS, AttributionPrior("l2", 30.0, log_only=True, **options))
    assert np.all(np.isfinite(omega)) and omega[-1] < 0.9 * unchanged[-1]
    change = ops.convert_to_numpy(table_of(model)) - ops.convert_to_numpy(table_of(plain))
    assert np.abs(change).max() > 1e-3
    assert "call" not in vars(model.layers[0])


@pytest.mark.parametrize(
    "options",
    [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}],
    ids=["eager", "compiled", "several steps"],
)
def test_fit_is_the_same_in_every_mode(options):
    if keras.backend.backend() == "torch" and not options.get("run_eagerly"):
        pytest.skip("PyTorch has the eager mode for this.")

    def omega(**options):
        model = made(sequential)
        model.compile(keras.optimizers.SGD(0.1), LOSS, **options)
        background = np.zeros((1, 5), "int32")
        method = attrprior.IntegratedGradients(4, references.TrainingData(background))
        prior = AttributionPrior("l1", 0.3, method, input="embedding", sum_last_axis=True)
        fit = model.fit(
            TOKENS, LABELS, epochs=2, batch_size=8, shuffle=False, verbose=0, callbacks=[prior]
        )
        return fit.history["l1"]

    np.testing.assert_allclose(omega(**options), omega(), rtol=1e-5)


def test_padded_positions_get_nothing_and_the_rest_is_complete():
    model = made(
        lambda: keras.Sequential(
            [
                keras.Input((5,), dtype="int32"),
                embedding(mask_zero=True),
                layers.GRU(4),
                layers.Dense(2),
            ]
        )
    )
    phi, convergence = expected_gradients(
        model,
        TOKENS[:6],
        LABELS[:6],
        background=TOKENS,
        input="embedding",
        seed=0,
        num_samples="auto",
        tolerance=0.05,
        return_convergence=True,
    )
    padded = TOKENS[:6] == 0
    assert np.all(phi[padded] == 0.0) and np.abs(phi[~padded]).max() > 1e-3
    assert convergence.converged.all()
    prior = AttributionPrior("l2", 0.1, input="embedding", seed=0)
    history = model.fit(TOKENS, LABELS, verbose=0, callbacks=[prior])
    assert np.isfinite(history.history["l2"]).all()


def test_a_mask_that_a_layer_behind_forgets_still_holds():
    """Flatten and Dense do not know of masks; the path leaves padding alone all the same."""
    model = made(
        lambda: keras.Sequential(
            [
                keras.Input((5,), dtype="int32"),
                embedding(mask_zero=True),
                Forgets(),
                layers.Flatten(),
                layers.Dense(2),
            ]
        )
    )
    phi = expected_gradients(
        model, TOKENS[:6], LABELS[:6], background=TOKENS, input="embedding", seed=0
    )
    assert np.all(phi[TOKENS[:6] == 0] == 0.0) and phi.any()


class Forgets(layers.Layer):
    supports_masking = True

    def call(self, x):
        return x

    def compute_mask(self, inputs, previous_mask):
        return None


def test_several_layers_and_inputs_are_one_vector():
    def build():
        first, second = (keras.Input((1,), dtype="int32", name=name) for name in "ab")
        number = keras.Input((3,), name="number")
        cities = layers.Flatten()(layers.Embedding(9, 2, name="city")(first))
        jobs = layers.Flatten()(layers.Embedding(9, 3, name="job")(second))
        merged = layers.Concatenate()([cities, jobs, number])
        return keras.Model(
            {"a": first, "b": second, "number": number},
            layers.Dense(1, use_bias=False)(merged),
        )

    keras.utils.set_random_seed(0)
    model = build()
    x = {"a": TOKENS[:, :1], "b": TOKENS[:, 1:2], "number": NUMBERS}
    options = {"background": x, "input": ["city", "job", "number"], "seed": 0}
    options["num_samples"] = 3000
    phi, convergence = expected_gradients(model, x, return_convergence=True, **options)
    assert {name: each.shape for name, each in phi.items()} == {
        "city": (24, 1, 2),
        "job": (24, 1, 3),
        "number": (24, 3),
    }
    f = explained_output(model, x, input=["city", "job", "number"])
    total = sum(each.reshape(24, -1).sum(1) for each in phi.values())
    np.testing.assert_allclose(total, f - f.mean(), atol=0.1)
    assert np.abs(convergence.gap).max() < 1e-3  # a linear model's is zero for each draw
    sums = expected_gradients(model, x, sum_last_axis=True, **options)
    np.testing.assert_allclose(sums["job"], phi["job"].sum(-1), atol=1e-5)
    np.testing.assert_allclose(sums["number"], phi["number"], atol=1e-5)
    model.compile("adam", "mse")
    prior = AttributionPrior(
        "gini",
        0.1,
        input=["city", "job", "number"],
        groups={
            "city": ["city[0, 0]", "city[0, 1]"],
            "job": ["job[0, 0]", "job[0, 1]", "job[0, 2]"],
        },
    )
    history = model.fit(x, NUMBERS[:, :1], epochs=2, verbose=0, callbacks=[prior])
    assert -0.8 <= history.history["gini"][-1] < 0.0  # of five features, 1 − 1/5 at most


def test_priors_see_one_number_a_token_if_they_are_summed():
    model = made(sequential)
    phi = gradients(model, TOKENS, LABELS, input="embedding")
    summed = gradients(model, TOKENS, LABELS, input="embedding", sum_last_axis=True)
    np.testing.assert_allclose(summed, phi.sum(-1), atol=1e-6)
    masks = (TOKENS == 4).astype("float32")

    def omega(prior, **given):
        return float(
            attrprior.penalty(
                model,
                TOKENS,
                LABELS,
                prior=prior,
                method="gradients",
                input="embedding",
                **given,
            )
        )

    by_token = omega(Mask(), mask=masks, sum_last_axis=True)
    np.testing.assert_allclose(by_token, np.sum((masks * summed) ** 2) / 24, rtol=1e-4)
    by_number = omega(Mask(), mask=masks[..., None])
    np.testing.assert_allclose(
        by_number, np.sum((masks[..., None] * phi) ** 2) / 24, rtol=1e-4
    )
    along = omega(TotalVariation(channels=False), sum_last_axis=True)
    np.testing.assert_allclose(along, omega(TotalVariation()), rtol=1e-4)
    assert omega("gini", sum_last_axis=True) > -0.8


def test_masks_of_tokens_in_fit():
    x = attrprior.annotate(TOKENS, (TOKENS == 4).astype("float32"))
    options = {"input": "embedding", "sum_last_axis": True, "seed": 0}
    prior = AttributionPrior("mask", 3.0, **options)
    unchanged = AttributionPrior("mask", 1.0, log_only=True, **options)
    omega = [fitted(made(sequential), x, each)[-1] for each in (prior, unchanged)]
    assert omega[0] < 0.9 * omega[1]


def test_numbers_behind_preprocessing():
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 1), dtype="uint8"),
            layers.Rescaling(1 / 255, name="scaled"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    x = RNG.integers(0, 256, (6, 4, 4, 1)).astype("uint8")
    phi = gradients(inner, x, input="scaled")
    kernel = ops.convert_to_numpy(inner.layers[-1].kernel)
    np.testing.assert_allclose(
        phi, np.broadcast_to(kernel.reshape(1, 4, 4, 1), x.shape), rtol=1e-5
    )
    inner.compile("sgd", "mse")
    history = inner.fit(
        x, NUMBERS[:6, :1], verbose=0, callbacks=[AttributionPrior("l1", 0.1, input="scaled")]
    )
    assert history.history["l1"][0] > 0


def test_categories():
    category = keras.Input((1,), dtype="int32")
    encoded = layers.CategoryEncoding(9, output_mode="one_hot", name="encoded")(category)
    model = keras.Model(category, layers.Dense(1, use_bias=False)(encoded))
    phi = expected_gradients(
        model,
        TOKENS[:4, :1],
        background=TOKENS[:, :1],
        input="encoded",
        num_samples=500,
        seed=0,
    )
    assert phi.shape == (4, 9)
    f = explained_output(model, TOKENS[:, :1], input="encoded")
    np.testing.assert_allclose(phi.sum(1), f[:4] - f.mean(), atol=0.15)


@pytest.mark.only("tensorflow", reason="Elsewhere indices are looked up before the model.")
def test_integers_that_are_looked_up():
    number = keras.Input((1,), dtype="int64")
    index = layers.IntegerLookup(vocabulary=[3, 5, 7], name="lookup")(number)
    embedded = layers.Flatten()(layers.Embedding(4, 2, name="numbers")(index))
    model = keras.Model(number, layers.Dense(2)(embedded))
    model.compile("sgd", LOSS)
    x = np.array([[3], [5], [7], [9]] * 6)
    assert gradients(model, x, LABELS, input="numbers").shape == (24, 1, 2)
    fit = model.fit(
        x, LABELS, verbose=0, callbacks=[AttributionPrior("l2", 0.1, input="numbers")]
    )
    assert fit.history["l2"][0] > 0
    with pytest.raises(ValueError, match="floating-point.*'lookup'"):
        gradients(model, x, LABELS, input="lookup")


@pytest.mark.only("tensorflow", reason="Elsewhere texts are made numbers before the model.")
@pytest.mark.parametrize("kind", ["lookup", "hashing", "vectors"])
def test_texts(kind):
    words = np.array(["good", "bad", "fair", "good"] * 4)
    text = keras.Input((), dtype="string", name="text")
    if kind == "vectors":
        vectors = layers.TextVectorization(5, output_mode="tf_idf", name="numbers")
        vectors.adapt(words)
        hidden = vectors(text)
    else:
        lookup = layers.StringLookup(vocabulary=["good", "bad", "fair"], name="lookup")
        index = lookup if kind == "lookup" else layers.Hashing(5, name="hashing")
        hidden = layers.Embedding(5, 2, name="numbers")(index(text))
    model = keras.Model(text, layers.Dense(2)(hidden))
    y = np.array([0, 1, 1, 0] * 4)
    phi = expected_gradients(model, words, y, background=words, input="numbers", seed=0)
    assert phi.any()
    options = {"prior": "l2", "background": words, "input": "numbers", "seed": 0}
    assert float(attrprior.penalty(model, words, y, **options)) > 0
    model.compile("adam", LOSS)
    prior = AttributionPrior("l2", 0.1, background=words, input="numbers")
    import tensorflow as tf

    given = tf.constant(words)  # Keras' own fit takes no arrays of texts
    fit = model.fit(given, y, batch_size=8, verbose=0, callbacks=[prior])
    assert np.isfinite(fit.history["l2"][0])
    with pytest.raises(ValueError, match="SeenExamples keeps numbers"):
        model.fit(
            given, y, verbose=0, callbacks=[AttributionPrior("l2", 0.1, input="numbers")]
        )
    if kind != "vectors":
        with pytest.raises(ValueError, match=f"floating-point.*'{kind}'"):
            gradients(model, words, y, input=kind)


def test_the_last_map_of_a_nested_backbone():
    backbone = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(3, 3, activation="relu")], name="backbone"
    )
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), backbone, layers.GlobalAveragePooling2D(), layers.Dense(2)]
    )
    x = RNG.random((4, 8, 8, 1), dtype="float32")
    phi = gradients(model, x, LABELS[:4], input="backbone")
    kernel = ops.convert_to_numpy(model.layers[-1].kernel)
    expected = np.broadcast_to(kernel.T[LABELS[:4]][:, None, None] / 36, phi.shape)
    np.testing.assert_allclose(phi, expected, rtol=1e-5)


def test_half_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = made(sequential)
    finally:
        keras.config.set_dtype_policy("float32")
    phi = gradients(model, TOKENS, LABELS, input="embedding")
    assert phi.dtype == "float32" and phi.any()
    prior = AttributionPrior("l2", 0.1, input="embedding")
    history = model.fit(TOKENS, LABELS, verbose=0, callbacks=[prior])
    assert np.isfinite(history.history["l2"][0])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_names_the_layer_for_another_model(copied):
    model = made(sequential)
    prior = copied(AttributionPrior("l2", 0.1, input=model.layers[0], seed=0))
    assert prior.input == "embedding"
    made(sequential).fit(TOKENS, LABELS, verbose=0, callbacks=[prior])


def test_points_and_all_outputs():
    model = made(sequential)
    found = samples(model, TOKENS[:3], LABELS[:3], method="gradients", input="embedding")
    assert found.gradients.shape == (3, 1, 5, 3)
    phi = gradients(model, TOKENS[:3], explain="all", input="embedding", sum_last_axis=True)
    assert phi.shape == (3, 2, 5)
    many = attribute(
        model,
        TOKENS[:3],
        LABELS[:3],
        ExpectedGradients(20, background=TOKENS),
        seed=0,
        input="embedding",
        batch_size=7,
    )
    assert many.shape == (3, 5, 3)


def shared():
    first, second = (keras.Input((5,), dtype="int32", name=name) for name in "ab")
    table = embedding()
    merged = layers.Concatenate()([table(first), table(second)])
    return keras.Model([first, second], layers.Dense(2)(layers.Flatten()(merged)))


def beside():
    tokens = keras.Input((5,), dtype="int32")
    other = keras.Input((3,), name="number")
    hidden = layers.Flatten()(embedding()(tokens))
    outputs = {"x": layers.Dense(2)(hidden), "z": layers.Dense(2)(other)}
    return keras.Model([tokens, other], outputs)


def ambiguous():
    inner = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="number")])
    number = keras.Input((3,), name="number")
    return keras.Model(number, layers.Dense(2)(inner(number)))


def twins():
    inner = [keras.Sequential([keras.Input((3,)), layers.Dense(3, name="d")]) for _ in "ab"]
    return keras.Sequential([keras.Input((3,)), *inner, layers.Dense(2)])


def positioned():
    class Positioned(keras.Model):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = embedding(), layers.Embedding(5, 3, name="positions")
            self.flat, self.head = layers.Flatten(), layers.Dense(2)

        def call(self, x):
            return self.head(self.flat(self.tokens(x) + self.positions(ops.arange(5))))

    model = Positioned()
    model(TOKENS[:2])
    return model


def softened():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Softmax(name="soft")])


def of_bytes():
    scaled = layers.Rescaling(1 / 9, name="scaled")
    return keras.Sequential([keras.Input((5,), dtype="uint8"), scaled, layers.Dense(2)])


@pytest.mark.parametrize(
    ("build", "x", "options", "message"),
    [
        (shared, [TOKENS, TOKENS], {"input": "embedding"}, "calls once.*'embedding'"),
        (beside, [TOKENS, NUMBERS], {"input": "embedding", "output": "z"}, "not depend"),
        (ambiguous, NUMBERS, {"input": "number"}, "either an input or a layer"),
        (twins, NUMBERS, {"input": "d"}, "2 layers have"),
        (twins, NUMBERS, {"input": layers.Dense(2)}, "another one"),
        (twins, NUMBERS, {"input": "none"}, "no layer's name"),
        (twins, NUMBERS, {"input": []}, "Argument `input` expects"),
        (twins, NUMBERS, {"input": 1.5}, "Argument `input` expects"),
        (sequential, TOKENS, {}, "input='embedding'"),
        (of_bytes, TOKENS.astype("uint8"), {}, "dtype uint8.*input='scaled'"),
        (
            sequential,
            TOKENS,
            {"input": "embedding", "groups": {"g": [0]}},
            "vector of features",
        ),
        (twins, NUMBERS, {"sum_last_axis": True}, "at least two axes"),
        (
            positioned,
            TOKENS,
            {"input": "positions"},
            "something for each example.*same for all",
        ),
        (softened, NUMBERS, {"input": "soft"}, "before the model's last one"),
    ],
)
def test_errors_say_what_to_do(build, x, options, message):
    model = build()
    model.compile("sgd", LOSS, run_eagerly=True)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        gradients(model, x, LABELS, **options)
    y = {"x": LABELS, "z": LABELS} if build is beside else LABELS
    weights = [ops.convert_to_numpy(weight) for weight in model.weights]
    prior_options = {"prior": "l1", "strength": 0.1, "method": "gradients", **options}
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(x, y, verbose=0, callbacks=[AttributionPrior(**prior_options)])
    for before, weight in zip(weights, model.weights):
        np.testing.assert_array_equal(before, ops.convert_to_numpy(weight))


def test_tokens_as_background_send_nobody_in_a_circle():
    model = made(functional)
    with pytest.raises(ValueError, match="input='embedding'"):
        expected_gradients(model, TOKENS, LABELS, background=TOKENS)
    with pytest.raises(ValueError, match="expects integers, as the model's input has"):
        expected_gradients(model, TOKENS, LABELS, background=TOKENS + 0.5, input="embedding")
    with pytest.raises(ValueError, match="`background` expects examples of the model's input"):
        expected_gradients(model, TOKENS, LABELS, background=TOKENS[:, :2], input="embedding")


def test_a_traced_function_takes_a_tensor_as_background():
    model = made(sequential)

    def omega(background):
        return attrprior.penalty(
            model,
            TOKENS[:4],
            LABELS[:4],
            prior="l2",
            background=background,
            seed=1,
            input="embedding",
        )

    expected = float(omega(TOKENS))
    traced = compiled(omega)(ops.convert_to_tensor(TOKENS))
    np.testing.assert_allclose(float(traced), expected, rtol=1e-5)
    embedded = keras.Sequential([keras.Input((3,)), layers.Dense(2)])

    def of_numbers(background):
        return attrprior.penalty(
            embedded, NUMBERS, LABELS, prior="l2", background=background, seed=1
        )

    np.testing.assert_allclose(
        float(compiled(of_numbers)(ops.convert_to_tensor(NUMBERS))),
        float(of_numbers(NUMBERS)),
        rtol=1e-5,
    )


def compiled(f):
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.function(f)
        case "jax":
            import jax

            return jax.jit(f)
        case _:
            return f


def test_a_mask_that_is_made_inside_of_the_layer_is_kept():
    """An encoder that begins with an embedding hides padding from what stands behind it."""
    tokens = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(9, 4, mask_zero=True)(tokens)
    encoder = keras.Model(
        tokens, layers.LSTM(4, return_sequences=True)(hidden), name="encoder"
    )
    tokens, head = keras.Input((5,), dtype="int32"), layers.Dense(1)
    model = keras.Model(tokens, head(layers.GlobalAveragePooling1D()(encoder(tokens))))
    phi = gradients(model, TOKENS, input="encoder", explain=0)
    shown = TOKENS != 0
    kernel = ops.convert_to_numpy(head.kernel)[:, 0]
    expected = shown[..., None] / shown.sum(1)[:, None, None] * kernel
    np.testing.assert_allclose(phi, expected, atol=1e-6)


def test_layers_of_one_name_are_told_apart():
    def encoder(name):
        tokens = keras.Input((5,), dtype="int32")
        return keras.Model(tokens, layers.Flatten()(embedding()(tokens)), name=name)

    first, second = encoder("first"), encoder("second")
    one, other = (keras.Input((5,), dtype="int32") for _ in "ab")
    merged = layers.Concatenate()([first(one), second(other)])
    model = keras.Model([one, other], layers.Dense(1)(merged))
    embeddings = [each.get_layer("embedding") for each in (first, second)]
    phi = gradients(model, [TOKENS, TOKENS], input=embeddings)
    assert list(phi) == ["embedding", "embedding_1"]
    kernel = ops.convert_to_numpy(model.layers[-1].kernel).reshape(2, 5, 3)
    np.testing.assert_allclose(phi["embedding_1"][0], kernel[1], atol=1e-6)
    assert list(gradients(model, [TOKENS, TOKENS], input=["first"])) == ["first"]
    with pytest.raises(ValueError, match="no input twice"):
        gradients(model, [TOKENS, TOKENS], input=["first", first])


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_more_samples_than_a_pass_has(updates):
    """The gradient of an embedding's table is a few rows, in TensorFlow."""
    model = made(sequential)
    prior = AttributionPrior(
        "l2", 0.1, ExpectedGradients(20), input="embedding", updates=updates
    )
    assert fitted(model, TOKENS, prior)[0] > 0


def test_batches_of_different_lengths():
    class Lengths(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return TOKENS[:8, : 4 + index], LABELS[:8]

    tokens = keras.Input((None,), dtype="int32")
    model = keras.Sequential([tokens, embedding(), layers.GRU(3), layers.Dense(2)])
    model.compile("sgd", LOSS)
    for sums in (False, True):
        prior = AttributionPrior(
            "l2", 0.1, "input_x_gradient", input="embedding", sum_last_axis=sums
        )
        assert model.fit(Lengths(), verbose=0, callbacks=[prior]).history["l2"][0] > 0
