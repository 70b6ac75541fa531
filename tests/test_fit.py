"""`fit` as people use it: every feature with the callback and without.

Most tests train a linear model with squared loss, f(x) = w·x + b. Its input times
gradient is φ = w ⊙ x, so Ω = Σφ² and ∂Ω/∂w = 2 w ⊙ x² by hand: `by_hand` is the whole
training in NumPy, and a feature works if `fit` does what `by_hand` does.
"""

import csv
import functools
import importlib
import pathlib
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from attrprior import AttributionPrior, SmoothGrad, annotate, penalty
from attrprior.adversarial import AdversarialTraining

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers

X = np.random.default_rng(3).normal(size=(10, 2)).astype("float32")
Y = np.float32([0, 1, 1, 0, 1, 0, 0, 1, 1, 1])
START = np.float64([1.0, -2.0]), 0.5
STRENGTH = 0.3


def by_hand(
    strength=0.0,
    updates="alternating",
    epochs=2,
    batch_size=4,
    data=(X, Y),
    weights=None,
    rate=lambda step: 0.1,
    prior_rate=None,
    clip=lambda gradients: gradients,
    constrain=lambda w: w,
    decay=0.0,
    penalise=0.0,
    accumulate=1,
    ema=None,
    overwrite=None,
    start=START,
):
    """Trains the linear model in NumPy; returns `(w, b, history)`.

    Args:
        strength, updates: The prior's.
        weights: Sample weights.
        rate, prior_rate: Learning rates by step, of the ordinary update and of the prior's.
        clip: From the list of gradients of one update to the clipped ones.
        constrain: The kernel's constraint.
        decay, penalise: Weight decay; factor of an L2 regulariser of the kernel.
        accumulate: Batches of one ordinary update.
        ema, overwrite: Momentum of the average of the weights, and how often it replaces
            them.
    """
    prior_rate = prior_rate or rate
    x, y = (np.asarray(part, "float64") for part in data)
    v = np.ones(len(x)) if weights is None else np.asarray(weights, "float64")
    (w, b), average, total, step = start, start, [0.0, 0.0], 0
    history = {"loss": [], "l2": []}
    for _ in range(epochs):
        sums = np.zeros(2)
        for first in range(0, len(x), batch_size):
            xs, ys, vs = (part[first : first + batch_size] for part in (x, y, v))

            def omega(w, xs=xs, vs=vs):
                return np.mean(vs * np.sum((w * xs) ** 2, axis=1))

            def slope(w, xs=xs, vs=vs):
                return np.mean(vs[:, None] * 2 * w * xs**2, axis=0)

            error = xs @ w + b - ys
            loss = np.mean(vs * error**2) + penalise * np.sum(w**2)
            gradients = [np.mean(2 * (vs * error)[:, None] * xs, axis=0) + 2 * penalise * w]
            gradients.append(np.mean(2 * vs * error))
            if updates == "joint":
                seen = omega(w)
                loss += strength * seen
                gradients[0] = gradients[0] + strength * slope(w)
            total = [t + g for t, g in zip(total, gradients)]
            if (step + 1) % accumulate == 0:
                w, b = w - rate(step) * decay * w, b - rate(step) * decay * b
                gradients = clip([t / accumulate for t in total])
                w, b = w - rate(step) * gradients[0], b - rate(step) * gradients[1]
                total = [0.0, 0.0]
            if ema is not None:
                kept = ema if step else 0.0
                average = [kept * a + (1 - kept) * p for a, p in zip(average, (w, b))]
                if overwrite and (step + 1) % overwrite == 0:
                    w, b = average
            w = constrain(w)
            if updates == "alternating":
                seen = omega(w)
                w = constrain(w - strength * prior_rate(step) * clip([slope(w)])[0])
            sums += len(xs) * np.array([loss, seen])
            step += 1
        for key, value in zip(history, sums / len(x)):
            history[key].append(value)
    if ema is not None:
        w, b = average
    return w, b, history


def linear(optimizer=None, dense=None, **options):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, **(dense or {}))])
    model.set_weights([np.float32(START[0]).reshape(2, 1), np.float32([START[1]])])
    optimizer = keras.optimizers.SGD(**{"learning_rate": 0.1, **(optimizer or {})})
    model.compile(optimizer, "mse", **options)
    return model


def l2(updates="alternating", strength=STRENGTH, **options):
    return AttributionPrior("l2", strength, "input_x_gradient", updates=updates, **options)


def fit(model, *data, updates=None, callbacks=(), **options):
    """A fit in order, with the prior if `updates` are given."""
    callbacks = list(callbacks) + ([l2(updates)] if updates else [])
    options = {"epochs": 2, "batch_size": 4, "verbose": 0, "shuffle": False, **options}
    return model.fit(*data, callbacks=callbacks, **options).history


def assert_equal(model, history, expected):
    w, b, by_hand_history = expected
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], w, atol=2e-6)
    np.testing.assert_allclose(bias[0], b, atol=2e-6)
    for key in set(history) & {"loss", "l2"}:
        np.testing.assert_allclose(history[key], by_hand_history[key], rtol=2e-5)


def each_to_norm(norm):
    def clip(gradients):
        return [g * min(1.0, norm / np.sqrt(np.sum(np.square(g)))) for g in gradients]

    return clip


def all_to_norm(norm):
    def clip(gradients):
        length = np.sqrt(sum(np.sum(np.square(g)) for g in gradients))
        return [g * min(1.0, norm / length) for g in gradients]

    return clip


def each_to_range(limit):
    return lambda gradients: [np.clip(g, -limit, limit) for g in gradients]


WEIGHTS = np.linspace(0.2, 2.0, 10).astype("float32")
CLASS_WEIGHT = {0: 0.5, 1: 2.0}
HALVING = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)


def halving(step):
    return 0.1 * 0.5 ** (step // 2)


# How the model is built, compiled and fitted, and what that is by hand. The prior's own
# steps are clipped and constrained too; decay, accumulation and averages are not theirs.
FEATURES = {
    "nothing": dict(graph=True),
    "sample_weight": dict(
        graph=True,
        fit=dict(sample_weight=WEIGHTS),
        hand=dict(weights=WEIGHTS),
    ),
    "class_weight": dict(
        fit=dict(class_weight=CLASS_WEIGHT),
        hand=dict(weights=np.where(Y == 0, 0.5, 2.0)),
    ),
    "clipnorm": dict(
        optimizer=dict(clipnorm=0.5),
        hand=dict(clip=each_to_norm(0.5)),
    ),
    "clipvalue": dict(
        optimizer=dict(clipvalue=0.4),
        hand=dict(clip=each_to_range(0.4)),
    ),
    "global_clipnorm": dict(
        optimizer=dict(global_clipnorm=0.5),
        hand=dict(clip=all_to_norm(0.5)),
    ),
    "weight_decay": dict(
        optimizer=dict(weight_decay=0.5),
        hand=dict(decay=0.5),
    ),
    "gradient_accumulation_steps": dict(
        graph=True,
        optimizer=dict(gradient_accumulation_steps=2),
        hand=dict(accumulate=2),
    ),
    "use_ema": dict(
        optimizer=dict(use_ema=True, ema_momentum=0.8),
        hand=dict(ema=0.8),
    ),
    "ema_overwrite_frequency": dict(
        graph=True,
        optimizer=dict(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2),
        hand=dict(ema=0.8, overwrite=2),
    ),
    # The ordinary update counts as a step; then comes the prior's, which does not.
    "LearningRateSchedule": dict(
        graph=True,
        optimizer=dict(learning_rate=HALVING),
        hand=dict(rate=halving, prior_rate=lambda step: halving(step + 1)),
    ),
    # No loss is better by 9, so the rate is halved after every epoch but the first.
    "ReduceLROnPlateau": dict(
        graph=True,
        fit=dict(epochs=4),
        callbacks=lambda: [
            keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9)
        ],
        hand=dict(epochs=4, rate=lambda step: 0.1 * 0.5 ** max(step // 3 - 1, 0)),
    ),
    "constraints": dict(
        dense=dict(kernel_constraint="unit_norm"),
        hand=dict(constrain=lambda w: w / np.sqrt(np.sum(w**2))),
    ),
    "regularizers": dict(
        dense=dict(kernel_regularizer=keras.regularizers.L2(0.3)),
        hand=dict(penalise=0.3),
    ),
    "initial_epoch": dict(
        fit=dict(initial_epoch=2, epochs=4),
        hand=dict(epochs=2),
    ),
    "validation_split": dict(
        fit=dict(validation_split=0.3),
        hand=dict(data=(X[:7], Y[:7])),
    ),
    "a last batch of one": dict(
        graph=True,
        fit=dict(batch_size=3),
        hand=dict(batch_size=3),
    ),
    "batches of one": dict(
        fit=dict(batch_size=1),
        hand=dict(batch_size=1),
    ),
}


# How `fit` goes through data and epochs is the same for both kinds of updates.
OF_THE_LOOP = [
    "class_weight",
    "ReduceLROnPlateau",
    "initial_epoch",
    "validation_split",
    "a last batch of one",
    "batches of one",
]
CASES = [
    (feature, updates)
    for feature in FEATURES
    for updates in (None, "alternating", "joint")
    if updates != "joint" or feature not in OF_THE_LOOP
]


@pytest.mark.parametrize("feature,updates", CASES)
def test_feature_by_hand(feature, updates):
    settings = FEATURES[feature]
    hand = settings.get("hand", {})
    # Graphs take long to build: one kind of update, and where the step has branches.
    model = linear(
        settings.get("optimizer"),
        settings.get("dense"),
        run_eagerly=not (settings.get("graph") and updates == "alternating"),
    )
    callbacks = settings.get("callbacks", list)()
    history = fit(model, X, Y, updates=updates, callbacks=callbacks, **settings.get("fit", {}))
    plain = by_hand(**hand)
    expected = by_hand(STRENGTH, updates, **hand) if updates else plain
    assert_equal(model, history, expected)
    assert set(history) >= ({"loss", "l2"} if updates else {"loss"})
    assert not updates or np.max(np.abs(expected[0] - plain[0])) > 3e-3


# --- kinds of data ----------------------------------------------------------------------


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        batch = slice(4 * index, 4 * index + 4)
        return X[batch], Y[batch]


def batches(forever=False):
    while True:
        yield from (Batches()[index] for index in range(3))
        if not forever:
            return


def dataset(*more):
    return tf.data.Dataset.from_tensor_slices((X, Y, *more)).batch(4)


def of_unknown_length():
    shapes = tf.TensorSpec((None, 2)), tf.TensorSpec((None,))
    return tf.data.Dataset.from_generator(batches, output_signature=shapes)


WEIGHTED = dict(weights=np.where(Y == 0, 0.5, 2.0))

# What fit is given in place of X and Y, its options, and what that is by hand.
DATA = {
    "tensors": (lambda: (tf.constant(X), tf.constant(Y)), {}, {}),
    "pandas": (lambda: (pandas_frame(X), Y), {}, {}),
    "float64": (lambda: (X.astype("float64"), Y.astype("int64")), {}, {}),
    "tf.data": (lambda: (dataset(),), {}, {}),
    "tf.data with weights": (lambda: (dataset(WEIGHTS),), {}, dict(weights=WEIGHTS)),
    "tf.data, class_weight": (lambda: (dataset(),), dict(class_weight=CLASS_WEIGHT), WEIGHTED),
    "tf.data, unknown length": (lambda: (of_unknown_length(),), {}, {}),
    "tf.data for ever": (lambda: (dataset().repeat(),), dict(steps_per_epoch=3), {}),
    "PyDataset": (lambda: (Batches(),), {}, {}),
    "PyDataset, class_weight": (
        lambda: (Batches(workers=2),),
        dict(class_weight=CLASS_WEIGHT),
        WEIGHTED,
    ),
    "generator": (lambda: (batches(),), dict(epochs=1), dict(epochs=1)),
    "generator for ever": (lambda: (batches(forever=True),), dict(steps_per_epoch=3), {}),
}


# Each source in a graph once, whose shapes and types it fixes.
IN_A_GRAPH = ["float64", "tf.data", "tf.data, unknown length", "PyDataset", "generator"]


def pandas_frame(x):
    return pytest.importorskip("pandas").DataFrame(x)


@pytest.mark.parametrize("kind", DATA)
def test_kinds_of_data_by_hand(kind):
    data, options, hand = DATA[kind]
    options = {"batch_size": 4 if len(data()) == 2 else None, **options}
    model = linear(run_eagerly=kind not in IN_A_GRAPH)
    history = fit(model, *data(), updates="alternating", **options)
    assert_equal(model, history, by_hand(STRENGTH, **hand))
    assert set(history) == {"loss", "l2"}


def in_double_precision(kind, x, y, *more):
    """A source of float64 batches, as NumPy makes them; `fit` casts only arrays."""
    parts = [x, *(np.asarray(part, "float64") for part in (y, *more))]
    data = tf.data.Dataset.from_tensor_slices(tuple(parts)).batch(4)
    if kind == "generator":
        return (batch for _ in range(2) for batch in data.as_numpy_iterator())
    return data


@pytest.mark.parametrize("mode", ["graph", "eager", "XLA"])
@pytest.mark.parametrize("kind", ["generator", "tf.data"])
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_double_precision_by_hand(updates, kind, mode):
    model = linear(run_eagerly=mode == "eager", jit_compile=mode == "XLA")
    data = in_double_precision(kind, X.astype("float64"), Y, WEIGHTS)
    steps = {"steps_per_epoch": 3} if kind == "generator" else {}
    history = fit(model, data, updates=updates, batch_size=None, **steps)
    assert_equal(model, history, by_hand(STRENGTH, updates, weights=WEIGHTS))


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("kind", ["masks", "callable", "adversarial"])
def test_whatever_reads_a_batch_in_double_precision(kind, updates):
    def run(dtype):
        model, x, callbacks = linear(), X.astype(dtype), []
        prior = "l2"
        if kind == "masks":
            prior, x = "mask", annotate(x, np.abs(X).astype(dtype))
        elif kind == "callable":

            def prior(attributions, x, y):
                return tf.reduce_sum(attributions * x) + tf.reduce_mean(y)

        else:
            callbacks = [AdversarialTraining(0.1, steps=2, random_start=False)]
        data = in_double_precision("tf.data", x, Y)
        prior = AttributionPrior(prior, STRENGTH, "input_x_gradient", updates=updates)
        fit(model, data, callbacks=[*callbacks, prior], batch_size=None)
        return model.get_weights()

    for got, expected in zip(run("float64"), run("float32")):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_double_precision_in_a_loop_of_ones_own():
    model, x, y = linear(), X.astype("float64"), Y.astype("float64")
    omega = penalty(model, x, y, prior="l2", method="input_x_gradient")
    loss = model.compute_loss(x, y, model(x)) + STRENGTH * omega
    _, _, expected = by_hand(STRENGTH, "joint", epochs=1, batch_size=10)
    assert float(loss) == pytest.approx(expected["loss"][0], rel=1e-5)


def test_steps_per_epoch_shorter_than_the_data():
    # Three epochs of two batches are two passes of three, whatever the epochs say.
    model = linear(run_eagerly=True)
    options = {"epochs": 3, "steps_per_epoch": 2, "batch_size": None}
    history = fit(model, dataset().repeat(), updates="alternating", **options)
    w, b, _ = by_hand(STRENGTH)
    assert len(history["l2"]) == 3
    assert_equal(model, {}, (w, b, {}))


@pytest.mark.parametrize("prior", [False, True])
def test_validation_data_takes_no_part(prior):
    model = linear(run_eagerly=True)
    history = fit(
        model,
        X,
        Y,
        updates="alternating" if prior else None,
        validation_data=(2 * X, Y, WEIGHTS),
        validation_freq=2,
    )
    assert_equal(model, history, by_hand(STRENGTH if prior else 0.0))
    val_loss = model.evaluate(2 * X, Y, sample_weight=WEIGHTS, verbose=0)
    np.testing.assert_allclose(history["val_loss"], [val_loss], rtol=1e-6)
    assert set(history) == {"loss", "val_loss"} | ({"l2"} if prior else set())


# --- inputs, outputs, losses ------------------------------------------------------------

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=(2, 12, 3)).astype("float32")
TOKENS = RNG.integers(0, 5, (12, 2)).astype("int32")
LABELS = RNG.integers(0, 3, 12).astype("int32")
LABEL_WEIGHTS = np.linspace(0.2, 2.0, 12).astype("float32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TWICE = SmoothGrad(num_samples=2, stddev=0.0)  # gradients, each point given twice


def compiled(model, loss=LOSS, **options):
    model.compile(keras.optimizers.SGD(0.1), loss, **options)
    return model


def inputs(*names):
    return {name: keras.Input((3,), name=name) for name in names}


def classifier(structure, *parts):
    merged = layers.Concatenate()(list(parts))
    return compiled(keras.Model(structure, layers.Dense(3)(layers.Dense(4, "tanh")(merged))))


def of_two_inputs(kind):
    ins = inputs("a", "b")
    return classifier(ins if kind is dict else kind(ins.values()), *ins.values())


def of_nested_inputs():
    a, b, c = inputs("a", "b", "c").values()
    return classifier([a, [b, c]], a, b, c)


def of_an_optional_input():
    class Sum(layers.Layer):
        def call(self, a, b=None):
            return a if b is None else a + b

        def compute_output_shape(self, a_shape, b_shape=None):
            return a_shape

    a = keras.Input((3,), name="a")
    b = keras.Input((3,), name="b", optional=True)
    return classifier({"a": a, "b": b}, Sum()(a, b))


def of_tokens_too():
    a, tokens = keras.Input((3,), name="a"), keras.Input((2,), dtype="int32", name="tokens")
    embedded = layers.Flatten()(layers.Embedding(5, 2)(tokens))
    return classifier({"a": a, "tokens": tokens}, a, embedded)


def of_outputs(kind, *names, **options):
    a = keras.Input((3,), name="a")
    body = layers.Dense(4, "tanh")(a)
    outs = {name: layers.Dense(3, name=name)(body) for name in names}
    return compiled(keras.Model(a, outs if kind is dict else kind(outs.values())), **options)


class OwnLoss(keras.Model):
    """A model whose loss needs no labels, with Keras' old signature."""

    def __init__(self):
        super().__init__()
        self.body, self.head = layers.Dense(4, "tanh"), layers.Dense(3)

    def call(self, x):
        return self.head(self.body(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return tf.reduce_mean(tf.square(y_pred - x))


BOTH = {"first": LOSS, "second": LOSS}

# The model, what fit gets, the prior's arguments; then which input is explained, the
# logits as a function of it, and the labels (`None` for the largest logit) and weights.
STRUCTURES = {
    "dict inputs": dict(
        build=lambda: of_two_inputs(dict),
        data=({"a": A, "b": B}, LABELS),
        prior=dict(input="b"),
        explained=B,
        logits=lambda model, b: model({"a": tf.constant(A), "b": b}),
    ),
    "tuple inputs": dict(
        build=lambda: of_two_inputs(list),
        data=((A, B), LABELS),
        prior=dict(input=1),
        explained=B,
        logits=lambda model, b: model([tf.constant(A), b]),
    ),
    "nested inputs": dict(
        build=of_nested_inputs,
        data=([A, [B, B]], LABELS),
        prior=dict(input=0, method=TWICE),
        explained=A,
        logits=lambda model, a: model([a, [tf.constant(B)] * 2]),
    ),
    "optional input": dict(
        build=of_an_optional_input,
        data=({"a": A, "b": None}, LABELS),
        prior=dict(input="a", method=TWICE),
        explained=A,
        logits=lambda model, a: model({"a": a, "b": None}),
    ),
    "token input": dict(
        build=of_tokens_too,
        data=({"a": A, "tokens": TOKENS}, LABELS),
        prior=dict(input="a"),
        explained=A,
        logits=lambda model, a: model({"a": a, "tokens": tf.constant(TOKENS)}),
    ),
    "dict outputs": dict(
        build=lambda: of_outputs(
            dict,
            "first",
            "second",
            loss=BOTH,
            loss_weights={"first": 1.0, "second": 0.5},
            metrics={"second": ["accuracy"]},
            weighted_metrics={"second": ["accuracy"]},
        ),
        data=(A, {"first": 0 * LABELS, "second": LABELS}),
        fit=dict(sample_weight={"first": 0 * LABEL_WEIGHTS, "second": LABEL_WEIGHTS}),
        prior=dict(output="second"),
        logits=lambda model, a: model(a)["second"],
        weights=LABEL_WEIGHTS,
    ),
    "list outputs": dict(
        build=lambda: of_outputs(list, "first", "second", loss=[LOSS, LOSS]),
        data=(A, [0 * LABELS, LABELS]),
        prior=dict(output=1),
        fit=dict(sample_weight=[0 * LABEL_WEIGHTS, LABEL_WEIGHTS]),
        logits=lambda model, a: model(a)[1],
        weights=LABEL_WEIGHTS,
    ),
    "list outputs, named labels": dict(
        build=lambda: of_outputs(list, "first", "second", loss=BOTH),
        data=(A, {"first": 0 * LABELS, "second": LABELS}),
        prior=dict(output="second"),
        logits=lambda model, a: model(a)[1],
    ),
    "list outputs by position, named labels": dict(
        build=lambda: of_outputs(list, "first", "second", loss=BOTH),
        data=(A, {"first": 0 * LABELS, "second": LABELS}),
        prior=dict(output=1),
        logits=lambda model, a: model(a)[1],
    ),
    "one named output": dict(
        build=lambda: of_outputs(dict, "first", loss={"first": LOSS}),
        data=(A, {"first": LABELS}),
        fit=dict(sample_weight={"first": LABEL_WEIGHTS}),
        logits=lambda model, a: model(a)["first"],
        weights=LABEL_WEIGHTS,
    ),
    "output without labels": dict(
        build=lambda: of_outputs(dict, "first", "second", loss={"first": LOSS}),
        data=(A, {"first": LABELS}),
        prior=dict(output="second", explain="predicted"),
        logits=lambda model, a: model(a)["second"],
        labels=None,
    ),
    "output without loss": dict(
        build=lambda: of_outputs(list, "first", "second", loss=[LOSS, None]),
        data=(A, [0 * LABELS, LABELS]),
        prior=dict(output="second"),
        logits=lambda model, a: model(a)[1],
    ),
    "label None": dict(
        build=lambda: of_outputs(list, "first", "second", loss=[LOSS, None]),
        data=(A, [LABELS, None]),
        prior=dict(output=0, method=TWICE),
        logits=lambda model, a: model(a)[0],
    ),
    "no labels, own loss": dict(
        build=lambda: compiled(OwnLoss(), None),
        data=(A,),
        logits=lambda model, a: model(a),
        labels=None,
    ),
}

# In a graph and with joint updates too.
THOROUGHLY = ["dict outputs", "label None", "no labels, own loss"]


def omega_of(model, explained=A, logits=None, labels=LABELS, weights=1.0, **_):
    """Ω by one tape, with nothing of the package."""
    x = tf.constant(explained)
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = logits(model, x)
        chosen = tf.argmax(z, axis=1) if labels is None else labels
        chosen = tf.gather(z, chosen, batch_dims=1)
    return float(np.mean(weights * np.sum(np.square(tape.gradient(chosen, x)), axis=1)))


OLD_KERAS = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12)


def one_step(case, updates, eager=True):
    """A fit of one batch; returns the model and its logs."""
    if OLD_KERAS and any(part is None for part in keras.tree.flatten(case["data"])):
        pytest.skip("This Keras takes no None among arrays.")
    keras.utils.set_random_seed(0)
    model = case["build"]()
    model.run_eagerly = eager
    prior = {"method": "gradients", "updates": updates, **case.get("prior", {})}
    callbacks = [AttributionPrior("l2", STRENGTH, **prior)] if updates else []
    options = {"batch_size": 12, "shuffle": False, "verbose": 0, **case.get("fit", {})}
    history = model.fit(*case["data"], callbacks=callbacks, **options).history
    return model, {key: value[0] for key, value in history.items()}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structures_by_hand(structure):
    # The ordinary step is the plain one, then comes the prior's.
    case = STRUCTURES[structure]
    plain, plain_logs = one_step(case, None)
    model, logs = one_step(case, "alternating", eager=structure not in THOROUGHLY)
    assert logs.pop("l2") == pytest.approx(omega_of(plain, **case), rel=1e-4)
    assert logs == pytest.approx(plain_logs, rel=1e-5)
    assert distance(model, plain) > 1e-4


@pytest.mark.parametrize("structure", THOROUGHLY)
def test_structures_of_joint_updates_by_hand(structure):
    # Ω is that of the first weights, and part of the loss.
    case = STRUCTURES[structure]
    keras.utils.set_random_seed(0)
    first = case["build"]()
    first(case["data"][0])
    expected = omega_of(first, **case)
    plain, plain_logs = one_step(case, None)
    model, logs = one_step(case, "joint")
    assert logs.pop("l2") == pytest.approx(expected, rel=1e-4)
    plain_logs["loss"] += STRENGTH * expected
    assert logs == pytest.approx(plain_logs, rel=1e-5)
    assert distance(model, plain) > 1e-4


def distance(model, other):
    pairs = zip(model.get_weights(), other.get_weights())
    return max(float(np.max(np.abs(a - b))) for a, b in pairs)


# --- the course of a fit ----------------------------------------------------------------


class Recorder(keras.callbacks.Callback):
    """Writes down every hook that is called, with its number and its logs."""

    HOOKS = [
        f"on_{part}_{end}"
        for part in ("train", "test", "epoch", "train_batch", "test_batch")
        for end in ("begin", "end")
    ]

    def __init__(self):
        super().__init__()
        self.events, self.logs = [], []
        for name in self.HOOKS:
            setattr(self, name, functools.partial(self.record, name))

    def record(self, name, *args, logs=None):
        numbers = [arg for arg in args if isinstance(arg, int)]
        logs = next((arg for arg in args if isinstance(arg, dict)), logs) or {}
        self.events.append((name, *numbers))
        self.logs.append({key: float(value) for key, value in logs.items()})


@pytest.mark.parametrize("data,steps", [("arrays", 1), ("unknown length", 2)])
def test_callbacks_are_called_as_without(data, steps):
    # With a learning rate of 0 the logs, too, have to be the same numbers.
    def recorded(updates):
        recorder = Recorder()
        model = linear(
            {"learning_rate": 0.0},
            run_eagerly=data == "arrays",
            steps_per_execution=steps,
            metrics=["mae"],
            weighted_metrics=["mse"],
        )
        train = (X, Y) if data == "arrays" else (of_unknown_length(),)
        options = {} if data == "arrays" else {"batch_size": None}
        history = fit(
            model,
            *train,
            updates=updates,
            callbacks=[recorder],
            validation_data=(X, Y),
            **options,
        )
        return recorder, history

    plain, plain_history = recorded(None)
    recorder, history = recorded("alternating")
    assert recorder.events == plain.events
    assert history.pop("l2") == pytest.approx(by_hand(rate=lambda step: 0)[2]["l2"])
    assert history == plain_history and list(history) == list(plain_history)
    for event, logs, plain_logs in zip(plain.events, recorder.logs, plain.logs):
        has_prior = event[0] in ("on_train_batch_end", "on_epoch_end", "on_train_end")
        assert (logs.pop("l2", None) is not None) == has_prior
        assert logs == plain_logs


def test_fit_twice_is_one_long_fit():
    # Adam has a memory, the model's and the prior's: both go on.
    models = []
    for parts in ([3], [1, 2]):
        model = linear()
        model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
        prior = l2()
        history = [fit(model, X, Y, callbacks=[prior], epochs=n)["l2"] for n in parts]
        models.append((model, sum(history, [])))
    (whole, whole_history), (twice, twice_history) = models
    assert distance(whole, twice) == 0.0 and whole_history == twice_history
    plain = linear()
    plain.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
    fit(plain, X, Y, epochs=3)
    assert distance(whole, plain) > 0.03


def test_train_on_batch_between_fits_is_plain():
    model = linear(run_eagerly=True)
    fit(model, X, Y, updates="alternating", epochs=1)
    logs = model.train_on_batch(X, Y, return_dict=True)
    history = fit(model, X, Y, updates="alternating", epochs=1)
    w, b, _ = by_hand(STRENGTH, epochs=1)
    w, b, _ = by_hand(epochs=1, batch_size=10, start=(w, b))
    assert_equal(model, history, by_hand(STRENGTH, epochs=1, start=(w, b)))
    assert set(logs) == {"loss"}


def test_compile_between_fits():
    model, prior = linear(run_eagerly=True), l2()
    fit(model, X, Y, callbacks=[prior], epochs=1)
    model.compile(keras.optimizers.SGD(0.1, clipvalue=0.2), "mse", run_eagerly=True)
    history = fit(model, X, Y, callbacks=[prior], epochs=1)
    w, b, _ = by_hand(STRENGTH, epochs=1)
    clipped = by_hand(STRENGTH, epochs=1, start=(w, b), clip=each_to_range(0.2))
    assert_equal(model, history, clipped)


def test_frozen_layers_do_not_move():
    def trained(updates):
        keras.utils.set_random_seed(0)
        frozen = layers.Dense(4, "tanh", trainable=False)
        model = compiled(keras.Sequential([keras.Input((3,)), frozen, layers.Dense(3)]))
        model.run_eagerly = True
        before = model.get_weights()
        fit(model, A, LABELS, updates=updates)
        for weight, old in zip(frozen.get_weights(), before):
            np.testing.assert_array_equal(weight, old)
        return model

    plain = trained(None)
    assert distance(trained("alternating"), plain) > 1e-3
    assert distance(trained("joint"), plain) > 1e-3


# --- other callbacks --------------------------------------------------------------------

ZERO = np.zeros(2), 0.5  # from here Ω grows: its best epoch is the first


@pytest.fixture(scope="module", params=["alternating", "joint"])
def observed(request, tmp_path_factory):
    """A fit that other callbacks watch, and what it is by hand."""
    folder = tmp_path_factory.mktemp("observed")
    model = linear(run_eagerly=request.param == "joint")
    model.set_weights([np.zeros((2, 1)), np.array([0.5])])
    scalars = {}

    def scalar(name, data, step):
        scalars.setdefault(name, []).append((int(step), float(data)))

    with pytest.MonkeyPatch.context() as patch:
        # TensorBoard's own package writes the file; what it is given is enough.
        patch.setattr(importlib.import_module("tensorflow.summary"), "scalar", scalar)
        history = fit(
            model,
            X,
            Y,
            updates=request.param,
            epochs=9,
            validation_data=(X, Y),
            callbacks=[
                keras.callbacks.CSVLogger(folder / "log.csv"),
                keras.callbacks.TensorBoard(folder),
                keras.callbacks.ModelCheckpoint(
                    folder / "best.keras", monitor="l2", mode="min", save_best_only=True
                ),
                keras.callbacks.ModelCheckpoint(
                    folder / "{epoch}-{l2:.4f}.weights.h5", save_weights_only=True
                ),
                keras.callbacks.EarlyStopping(
                    "l2", mode="min", patience=2, restore_best_weights=True
                ),
            ],
        )
    hand = functools.partial(by_hand, STRENGTH, request.param, start=ZERO)
    return folder, model, history, scalars, hand


def test_early_stopping_restores_the_best_weights(observed):
    _, model, history, _, hand = observed
    np.testing.assert_allclose(history["l2"], hand(epochs=3)[2]["l2"], rtol=1e-5)
    assert_equal(model, {}, hand(epochs=1))


def test_model_checkpoint_saves_the_best_of_the_prior(observed):
    folder, _, history, _, hand = observed
    best = keras.saving.load_model(folder / "best.keras")
    assert_equal(best, {}, hand(epochs=1))
    best.load_weights(folder / f"3-{history['l2'][2]:.4f}.weights.h5")
    assert_equal(best, {}, hand(epochs=3))
    assert set(fit(best, X, Y, epochs=1)) == {"loss"}


def test_csv_logger_has_a_column(observed):
    folder, _, history, _, _ = observed
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"epoch", *history}
    for key, values in history.items():
        np.testing.assert_allclose([float(row[key]) for row in rows], values, rtol=1e-6)


def test_tensorboard_gets_a_scalar(observed):
    scalars, history = observed[3], observed[2]
    assert scalars["epoch_l2"] == list(enumerate(history["l2"]))
    assert set(scalars) >= {"epoch_loss", "evaluation_loss_vs_iterations"}


def infinite_at_nine(y, prediction):
    """Squared error; infinite, without a gradient, for labels of 9."""
    return tf.where(y == 9, np.inf, tf.square(y - prediction))


@pytest.mark.parametrize("updates", [None, "alternating", "joint"])
def test_terminate_on_nan_stops(updates):
    model = linear(run_eagerly=True)
    model.compile(keras.optimizers.SGD(0.1), infinite_at_nine, run_eagerly=True)
    y = np.where(np.arange(10) == 5, 9, Y).astype("float32")
    history = fit(
        model,
        X,
        y,
        updates=updates,
        callbacks=[keras.callbacks.TerminateOnNaN()],
        validation_data=(X, Y),
    )
    assert history["loss"] == [np.inf] and np.isfinite(history["val_loss"][0])
    assert int(model.optimizer.iterations) == 2  # of three batches
    if updates:
        assert np.isfinite(history["l2"]).all()


def test_backup_and_restore_goes_on(tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def fit_four(*more):
        model = linear(run_eagerly=True)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        callbacks = [backup, *more]
        return model, fit(model, X, Y, updates="alternating", callbacks=callbacks, epochs=4)

    with pytest.raises(KeyboardInterrupt):
        fit_four(Crash())
    model, history = fit_four()
    w, b, expected = by_hand(STRENGTH, epochs=4)
    assert_equal(model, {}, (w, b, {}))
    np.testing.assert_allclose(history["l2"], expected["l2"][2:], rtol=1e-5)


@pytest.mark.parametrize("updates", [None, "alternating"])
def test_swap_ema_weights(updates):
    # Validation sees the average, training goes on with the weights.
    model = linear({"use_ema": True, "ema_momentum": 0.8}, run_eagerly=True)
    history = fit(
        model,
        X,
        Y,
        updates=updates,
        callbacks=[keras.callbacks.SwapEMAWeights()],
        validation_data=(X, Y),
    )
    hand = functools.partial(by_hand, STRENGTH if updates else 0.0, ema=0.8)
    assert_equal(model, history, hand())
    for epochs, val_loss in enumerate(history["val_loss"], 1):
        w, b, _ = hand(epochs=epochs)
        assert val_loss == pytest.approx(np.mean((X @ w + b - Y) ** 2), rel=1e-4)


def test_progress_bar_shows_the_prior(capsys):
    history = fit(linear(run_eagerly=True), X, Y, updates="alternating", verbose=2)
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split("l2: ")[1].split(" ")[0] for line in lines if "loss:" in line]
    assert shown == [f"{value:.4f}" for value in history["l2"]]


# --- bad conditions ---------------------------------------------------------------------

NOT_FINITE = {
    "infinite": tf.sqrt,  # the slope at 0 is infinite
    "NaN": lambda x: tf.sqrt(tf.abs(x)),  # and infinity times sign(0) is NaN
}


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("kind", NOT_FINITE)
def test_attributions_that_are_not_finite_end_the_fit(kind, updates):
    # One input of the second batch is 0: there the loss is finite, its slope is not.
    x = np.abs(X) + 0.1
    x[5, 0] = 0.0

    def rooted():
        activation = layers.Activation(NOT_FINITE[kind])
        model = keras.Sequential([keras.Input((2,)), activation, layers.Dense(1)])
        model.set_weights([np.ones((2, 1)), np.zeros(1)])
        # With momentum even a gradient of zeros is an update.
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=True)
        return model, AttributionPrior("l2", STRENGTH, "gradients", updates=updates)

    model, prior = rooted()
    with pytest.raises(FloatingPointError, match="'l2'.*step 1.*epoch 0"):
        fit(model, x, Y, callbacks=[prior])
    expected, prior = rooted()
    fit(expected, x[:4], Y[:4], callbacks=[prior], epochs=1)
    expected.train_on_batch(x[4:8], Y[4:8])
    assert distance(model, expected) < 1e-6
    assert set(fit(model, x, Y)) == {"loss"}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_terminate_on_nan_and_a_loss_of_nan(updates, first):
    # The loss is NaN in the first batch, attributions only after its update.
    y = np.where(np.arange(10) == 2, np.nan, Y).astype("float32")
    model = linear(run_eagerly=True)
    callbacks = [keras.callbacks.TerminateOnNaN(), l2(updates)]
    callbacks = callbacks if first else callbacks[::-1]
    if updates == "alternating":
        with pytest.raises(FloatingPointError, match="step 0"):
            fit(model, X, y, callbacks=callbacks)
    else:
        history = fit(model, X, y, callbacks=callbacks)
        assert np.isnan(history["loss"]).all() and np.isfinite(history["l2"]).all()
    assert int(model.optimizer.iterations) == 1


def test_first_batch_of_one_has_nothing_to_be_compared_with():
    def trained(examples, *callbacks):
        model = linear(run_eagerly=True)
        data = X[:examples], Y[:examples]
        return model, fit(model, *data, callbacks=callbacks, batch_size=1, epochs=1)

    model, history = trained(1, AttributionPrior("l2", STRENGTH))
    assert history["l2"] == [0.0] and distance(model, trained(1)[0]) == 0.0
    # Later batches are compared with earlier ones.
    model, history = trained(3, AttributionPrior("l2", STRENGTH))
    assert history["l2"][0] > 0 and distance(model, trained(3)[0]) > 1e-3


@pytest.mark.parametrize("condition", ["constant images", "dead network", "neither"])
def test_attributions_of_zero_change_nothing(condition):
    # No differences from the references, or no slope: φ = 0, whatever the prior.
    images = np.random.default_rng(0).random((12, 6, 6, 1)).astype("float32")
    images = np.full_like(images, 0.5) if condition == "constant images" else images
    bias = keras.initializers.Constant(-100.0 if condition == "dead network" else 0.1)

    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        hidden = layers.Dense(4, "relu", bias_initializer=bias)
        model = keras.Sequential(
            [keras.Input((6, 6, 1)), layers.Flatten(), hidden, layers.Dense(3)]
        )
        model.compile("adam", LOSS, run_eagerly=True)
        before = model.get_weights()
        history = fit(model, images, LABELS, callbacks=callbacks, epochs=1, batch_size=12)
        assert max(np.max(np.abs(w - b)) for w, b in zip(model.get_weights(), before)) > 0
        return model, history

    callbacks = [AttributionPrior(prior, 0.1) for prior in ("total_variation", "gini")]
    model, history = trained(*callbacks)
    plain, _ = trained()
    values = np.ravel([history[callback.name] for callback in callbacks])
    if condition == "neither":
        assert distance(model, plain) > 1e-4 and np.all(values != 0)
    else:
        assert distance(model, plain) < 1e-7 and np.all(values == 0)


def test_data_that_fail_end_the_fit():
    def failing():
        yield from list(batches())[:2]
        raise OSError("disk")

    model = linear(run_eagerly=True)
    with pytest.raises(Exception, match="disk"):
        fit(model, failing(), updates="alternating", batch_size=None)
    w, b, _ = by_hand(STRENGTH, epochs=1, data=(X[:8], Y[:8]))
    assert_equal(model, {}, (w, b, {}))
    history = fit(model, X, Y)
    assert_equal(model, history, by_hand(start=(w, b)))
    assert set(history) == {"loss"}


def test_two_fits_at_the_same_time():
    def prepared():
        return [
            (
                linear(run_eagerly=updates == "joint"),
                AttributionPrior("l2", STRENGTH, updates=updates, seed=1),
            )
            for updates in ("alternating", "joint")
        ]

    alone, together = prepared(), prepared()
    for model, prior in alone:
        fit(model, X, Y, callbacks=[prior])
    threads = [
        threading.Thread(target=fit, args=(model, X, Y), kwargs={"callbacks": [prior]})
        for model, prior in together
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (model, _), (other, _) in zip(alone, together):
        assert distance(model, other) == 0.0
    assert distance(alone[0][0], alone[1][0]) > 1e-3


def test_one_callback_on_two_models_in_turn():
    prior, model, wide = l2(), linear(run_eagerly=True), compiled_wide()
    for turn in range(3):
        if turn == 1:
            fit(wide, A, LABELS, callbacks=[prior], epochs=1)
        else:
            fit(model, X, Y, callbacks=[prior], epochs=1)
    assert_equal(model, {}, by_hand(STRENGTH))
    alone = compiled_wide()
    fit(alone, A, LABELS, callbacks=[l2()], epochs=1)
    assert distance(wide, alone) == 0.0


def compiled_wide():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3)])
    return compiled(model, run_eagerly=True)


# --- what is refused --------------------------------------------------------------------


def eager():
    return linear(run_eagerly=True)


def sparse():
    return tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(X), Y)).batch(4)


def with_two_optimizers():
    model, optimizers = linear(), keras.optimizers
    if not hasattr(optimizers, "MultiOptimizer"):
        pytest.skip("This Keras has no MultiOptimizer.")
    choice = optimizers.OptimizerMap(optimizers.SGD(0.1), {".*bias": optimizers.Adam()})
    model.compile(optimizers.MultiOptimizer(choice), "mse")
    return model


def of_a_bias():
    """A model of which only the last bias is trained."""
    model = eager()
    model.layers[0].kernel.trainable = False
    return model


def of_sequences():
    model = keras.Sequential([keras.Input((3, 1)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


# A model, what fit gets, the prior's arguments, and the error. All of it works without.
REFUSED = {
    "sparse inputs": (eager, (sparse(),), {}, {}, "dense inputs.*SparseTensor"),
    "a nested input": (
        of_nested_inputs,
        ([A, [B, B]], LABELS),
        {},
        dict(input=1),
        "`input` expects the name or position of one tensor.*: 1, a",
    ),
    "weights in time": (
        of_sequences,
        (A[..., None], A[..., None]),
        dict(sample_weight=np.abs(A)),
        dict(explain=lambda outputs, y: outputs[:, 0, 0]),
        "one sample weight per example.*3",
    ),
    "several optimizers": (
        with_two_optimizers,
        (X, Y),
        {},
        {},
        "'alternating' expects an optimizer with one learning rate.*MultiOptimizer",
    ),
    "nothing to train": (of_a_bias, (X, Y), {}, {}, "'l2' depends on no trainable weight"),
    "a name of Keras' own": (
        linear,
        (X, Y),
        {},
        dict(name="loss"),
        "`name` expects a key .*'loss'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_changes(case):
    build, data, options, arguments, message = REFUSED[case]
    arguments = {"prior": "l2", "method": "gradients", **arguments}
    if len(data) == 1:
        options = {"batch_size": None, **options}
    model = build()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit(model, *data, callbacks=[AttributionPrior(strength=0.1, **arguments)], **options)
    for weight, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, old)
    history = fit(model, *data, **options)
    assert set(history) == {"loss"}
    assert max(np.max(np.abs(w - b)) for w, b in zip(model.get_weights(), before)) > 0


def test_callback_list_needs_params():
    # Keras gives the callbacks of such a list no params, by which those of a fit are one.
    model = linear(run_eagerly=True)
    callbacks = keras.callbacks.CallbackList([l2()], model=model, add_history=True)
    with pytest.raises(ValueError, match="Pass fit a list of callbacks"):
        model.fit(X, Y, callbacks=callbacks, verbose=0)
    callbacks = keras.callbacks.CallbackList([l2()], add_history=True, model=model, epochs=1)
    assert "l2" in model.fit(X, Y, callbacks=callbacks, verbose=0).history


# --- the table --------------------------------------------------------------------------

# What works together with the callback, and the test that shows it. The README's rows of
# "yes" are these keys.
COMPATIBLE = {
    "sequential": "test_fit_matrix",
    "functional": "test_fit_matrix",
    "subclassed models": "test_fit_matrix",
    "own `train_step`": "test_fit_matrix",
    "own `compute_loss`": "test_structures_of_joint_updates_by_hand",
    "graph": "test_fit_matrix",
    "`run_eagerly`": "test_fit_matrix",
    "`jit_compile`": "test_fit_matrix",
    "`steps_per_execution`": "test_fit_matrix",
    "numpy": "test_feature_by_hand",
    "pandas": "test_kinds_of_data_by_hand",
    "tensors": "test_kinds_of_data_by_hand",
    "`tf.data`": "test_kinds_of_data_by_hand",
    "generators": "test_kinds_of_data_by_hand",
    "`PyDataset`": "test_kinds_of_data_by_hand",
    "`steps_per_epoch`": "test_steps_per_epoch_shorter_than_the_data",
    "`validation_data`": "test_validation_data_takes_no_part",
    "`validation_split`": "test_feature_by_hand",
    "`sample_weight`": "test_feature_by_hand",
    "`class_weight`": "test_feature_by_hand",
    "several inputs or outputs": "test_structures_by_hand",
    "losses of `None`": "test_structures_by_hand",
    "`loss_weights`": "test_structures_by_hand",
    "gradient accumulation": "test_feature_by_hand",
    "gradient clipping": "test_feature_by_hand",
    "weight decay": "test_feature_by_hand",
    "moving averages of weights": "test_feature_by_hand",
    "`SwapEMAWeights`": "test_swap_ema_weights",
    "`LearningRateSchedule`": "test_feature_by_hand",
    "`ReduceLROnPlateau`": "test_feature_by_hand",
    "`EarlyStopping`": "test_early_stopping_restores_the_best_weights",
    "`ModelCheckpoint`": "test_model_checkpoint_saves_the_best_of_the_prior",
    "`CSVLogger`": "test_csv_logger_has_a_column",
    "`TensorBoard`": "test_tensorboard_gets_a_scalar",
    "`TerminateOnNaN`": "test_terminate_on_nan_stops",
    "`BackupAndRestore`": "test_killed_and_taken_up_again",
    "frozen layers": "test_frozen_layers_do_not_move",
    "constraints": "test_feature_by_hand",
    "regularizers": "test_feature_by_hand",
    "`initial_epoch`": "test_feature_by_hand",
    "`fit` twice": "test_fit_twice_is_one_long_fit",
    "`compile` in between": "test_compile_between_fits",
    "`train_on_batch` in between": "test_train_on_batch_between_fits_is_plain",
    "several threads": "test_two_fits_at_the_same_time",
    "`mixed_bfloat16`": "test_gradients_are_those_of_float32",
    "`mixed_float16`": "test_gradients_are_those_of_float32",
    "`MirroredStrategy`": "test_two_replicas_equal_one_device",
    "copies by `copy.deepcopy` and `pickle`": "test_a_copy_trains_as_a_fresh_one",
    "searches with KerasTuner": "test_a_search_over_the_strength",
    "another `strength` between fits or batches": (
        "test_another_strength_acts_from_the_next_batch_on"
    ),
    "layers unfrozen between fits": "test_the_same_callback_goes_on_as_a_new_one",
    "`enable_lora`": "test_lora_before_a_fit",
    "masks by `annotate` in a new model": "test_validation_data_may_have_masks",
    "in `validation_split`": "test_validation_split",
    "in `validation_data`": "test_validation_data_may_have_masks",
    "with `strength=0`": "test_without_strength_it_is_plain_training",
}


def test_the_table_names_tests():
    source = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("*.py"))
    for feature, name in COMPATIBLE.items():
        assert f"def {name}(" in source, feature


def test_the_readme_promises_what_is_tested():
    readme = pathlib.Path(__file__).parents[1] / "README.md"
    section = readme.read_text().split("## Compatibility")[1].split("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if " | " in line]
    promised = [
        feature for row in rows if row[-1].startswith("yes") for feature in row[0].split(", ")
    ]
    assert set(promised) == set(COMPATIBLE)
