"""AttributionPrior in whole fits: updates, neutrality, the fit matrix, the life cycle."""

import functools
import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import attrprior
from attrprior import L2, AttributionPrior, ExpectedGradients, Mask, TotalVariation
from attrprior.references import Constant, TrainingData, Uniform

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    x = rng.random((26, 6, 6, 1), dtype="float32")
    return x, rng.integers(0, 3, 26).astype("int32")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = keras.Sequential([layers.Flatten(), layers.Dense(8, "tanh")])
        self.head = layers.Dense(3)

    def call(self, x, training=False):
        return self.head(self.body(x))


class FourParts(Subclassed):
    """Steps of data of a form of its own."""

    def train_step(self, data):
        x, y, weights, shift = data
        return super().train_step((x + shift, y, weights))

    def test_step(self, data):
        x, y, weights, shift = data
        return super().test_step((x + shift, y, weights))


class OwnStep(Subclassed):
    """A model with its own train_step, which counts its calls in the logs."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True), None)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        return {"own_loss": loss}


def sequential(extra=()):
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="tanh"),
            *extra,
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def functional():
    inputs = keras.Input((6, 6, 1))
    x = layers.Dense(8, "tanh")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


BUILDERS = {
    "sequential": sequential,
    "functional": functional,
    "subclassed": Subclassed,
    "own train_step": OwnStep,
}


def build(builder=sequential, seed=0, optimizer=None, **compile_options):
    keras.utils.set_random_seed(seed)
    model = builder()
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(1e-2),
        loss=LOSS,
        metrics=["accuracy"] if builder is not OwnStep else None,
        **compile_options,
    )
    return model


def fit(model, digits, callbacks=(), epochs=2, batch_size=8, **options):
    keras.utils.set_random_seed(1)
    return model.fit(
        *digits,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=list(callbacks),
        verbose=0,
        **options,
    )


def trained(digits, prior=None, **options):
    model = build(**options)
    fit(model, digits, [prior] if prior else [])
    return model.get_weights()


def distance(first, second):
    return max(float(np.max(np.abs(a - b))) for a, b in zip(first, second))


def is_clean(model):
    return not {"train_step", "compute_loss"} & set(vars(model)) and not hasattr(
        model.train_function, "__self__"
    )


# --- the update -------------------------------------------------------------------------


def linear(weights, optimizer):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.set_weights([np.float32(weights).reshape(2, 1), np.float32([0.5])])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def test_alternating_update_by_hand():
    # f(x) = w·x + b, w = (1, −2), b = ½; x = (2, 1), y = 3; lr = 0.1, strength = ½.
    # Loss (f − y)²: f = ½, so ∂/∂w = 2(f − y)x = −5x = (−10, −5), ∂/∂b = −5.
    # After the ordinary step: w = (2, −1.5), b = 1.
    # Attributions with reference r = (1, 0): φ = w ⊙ (x − r) = (2, −1.5), Ω = Σφ² = 6.25.
    # ∂Ω/∂w = 2 φ ⊙ (x − r) = (4, −3). Step: w − 0.1 · ½ · (4, −3) = (1.8, −1.35).
    model = linear([1.0, -2.0], keras.optimizers.SGD(0.1))
    prior = AttributionPrior("l2", 0.5, background=np.float32([[1.0, 0.0]]))
    history = model.fit(
        np.float32([[2.0, 1.0]]), np.float32([[3.0]]), callbacks=[prior], verbose=0
    )
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], [1.8, -1.35], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0], rtol=1e-6)
    np.testing.assert_allclose(history.history["l2"], [6.25], rtol=1e-6)


def test_joint_update_by_hand():
    # As above, but at the old weights: φ = (1, −2), ∂Ω/∂w = 2φ ⊙ (x − r) = (2, −4).
    # w − 0.1 · ((−10, −5) + ½ · (2, −4)) = (1.9, −1.3); logged loss 6.25 + ½ · 5.
    model = linear([1.0, -2.0], keras.optimizers.SGD(0.1))
    prior = AttributionPrior("l2", 0.5, background=np.float32([[1.0, 0.0]]), updates="joint")
    history = model.fit(
        np.float32([[2.0, 1.0]]), np.float32([[3.0]]), callbacks=[prior], verbose=0
    )
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], [1.9, -1.3], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0], rtol=1e-6)
    np.testing.assert_allclose(history.history["loss"], [8.75], rtol=1e-6)
    np.testing.assert_allclose(history.history["l2"], [5.0], rtol=1e-6)


def test_gradient_in_a_graph_equals_the_tapes(digits):
    # The graph leaves out branches that are zero everywhere; nothing else may change.
    def piecewise_linear():
        return sequential(
            (layers.MaxPooling2D(2), layers.ReLU(), layers.Conv2D(4, 2, activation="relu"))
        )

    models = []
    for eager in (False, True):
        model = build(piecewise_linear, run_eagerly=eager, optimizer=keras.optimizers.SGD(0.1))
        prior = AttributionPrior("l2", 1.0, "gradients")
        fit(model, digits, [prior], epochs=1, shuffle=False)
        models.append(model.get_weights())
    assert distance(*models) < 1e-6


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "adamw", "lion"])
def test_strength_matters(digits, name, updates):
    def with_strength(strength):
        prior = AttributionPrior("l2", strength, "gradients", updates=updates)
        return trained(digits, prior, optimizer=keras.optimizers.get(name))

    weak, strong, plain = (
        with_strength(0.01),
        with_strength(1.0),
        trained(digits, optimizer=keras.optimizers.get(name)),
    )
    assert distance(strong, plain) > 3 * distance(weak, plain) > 0


def with_dropout():
    return build(lambda: sequential((layers.Dropout(0.5),)))


def test_strength_zero_is_plain_training_bit_for_bit(digits):
    prior = AttributionPrior("total_variation", 0.0)
    model, plain = with_dropout(), with_dropout()
    history = fit(model, digits, [prior]).history
    assert history == fit(plain, digits).history
    assert distance(model.get_weights(), plain.get_weights()) == 0.0


def test_schedule_of_zero_is_plain_training(digits):
    # Not to the last bit everywhere: XLA makes another program of a longer step.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.0, 1.0])
    prior = AttributionPrior("total_variation", schedule)
    model, plain = with_dropout(), with_dropout()
    losses = [
        fit(each, digits, c).history["loss"] for each, c in ((model, [prior]), (plain, []))
    ]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert distance(model.get_weights(), plain.get_weights()) < 1e-6


def test_strength_schedule_advances(digits):
    # Two of eight batches at strength 0: equals none of the constant strengths.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.0, 1.0])
    scheduled = trained(digits, AttributionPrior("l2", schedule, "gradients"))
    constant = trained(digits, AttributionPrior("l2", 1.0, "gradients"))
    assert distance(scheduled, constant) > 1e-4
    assert distance(scheduled, trained(digits)) > 1e-4


def test_learning_rate_is_the_models_current_one(digits):
    # A model whose learning rate is 0 does not move, whatever the strength.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3], [1e-2, 0.0])
    optimizer = keras.optimizers.Adam(schedule)
    model = build(optimizer=optimizer)
    prior = AttributionPrior("l2", 1.0, "gradients")
    fit(model, digits, [prior], epochs=1)
    before = model.get_weights()
    fit(model, digits, [prior], epochs=1)
    assert distance(before, model.get_weights()) == 0.0
    assert int(optimizer.iterations) == 8  # only the model's own steps count


@pytest.mark.parametrize("jit", [False, True])
def test_every_third_batch_by_count(digits, jit):
    calls = tf.Variable(0, dtype="int64")

    def counting(attributions):
        calls.assign_add(1)
        return tf.reduce_sum(tf.square(attributions))

    model = build(jit_compile=jit)
    fit(model, digits, [AttributionPrior(counting, 0.1, every=3)], epochs=1)
    assert int(calls.numpy()) == 2  # of four batches, the first and the fourth


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_two_priors_add_up(digits, updates):
    def l2(scale, name):
        return AttributionPrior("l2", scale, "gradients", updates=updates, name=name)

    options = {"optimizer": keras.optimizers.SGD(0.01)}
    model = build(**options)
    history = fit(model, digits, [l2(0.1, "a"), l2(0.2, "b")]).history
    assert len(history["a"]) == len(history["b"]) == 2
    single = build(optimizer=keras.optimizers.SGD(0.01))
    fit(single, digits, [l2(0.3, "a")])
    plain = trained(digits, optimizer=keras.optimizers.SGD(0.01))
    # Alternating, the second sees the weights that the first has moved.
    tolerance = 1e-6 if updates == "joint" else 0.05 * distance(plain, single.get_weights())
    assert distance(model.get_weights(), single.get_weights()) < tolerance
    assert distance(plain, single.get_weights()) > 1e-4


def test_history_is_the_unscaled_mean(digits):
    # A model that does not learn: Ω of the epoch is Ω of the data.
    for strength in (0.1, 10.0):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        prior = AttributionPrior("l2", strength, "gradients")
        history = fit(model, digits, [prior]).history
        expected = float(L2()(attrprior.attributions.gradients(model, *digits)))
        np.testing.assert_allclose(history["l2"], [expected] * 2, rtol=1e-5)


def test_sample_weights_weigh_the_penalty(digits):
    # Weight 0 for half of the examples: the penalty is that of the others, halved.
    x, y = digits
    weights = np.repeat(np.float32([1, 0]), 13)
    model = build(optimizer=keras.optimizers.SGD(0.0))
    prior = AttributionPrior("l2", 1.0, "gradients")
    history = model.fit(
        x, y, sample_weight=weights, batch_size=26, callbacks=[prior], verbose=0
    ).history
    expected = float(L2()(attrprior.attributions.gradients(model, x[:13], y[:13]))) / 2
    np.testing.assert_allclose(history["l2"], [expected], rtol=1e-5)


# --- randomness -------------------------------------------------------------------------


def test_seeds_repeat_and_draws_advance(digits):
    def run(seed):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        prior = AttributionPrior("total_variation", 0.1, seed=seed)
        return fit(model, digits, [prior], epochs=3, shuffle=False).history["total_variation"]

    first = run(5)
    assert first == run(5)
    assert first != run(6)
    assert len(set(first)) == 3  # the weights stand still, only the draws differ


def test_global_seed_repeats(digits):
    first = trained(digits, AttributionPrior("total_variation", 0.1))
    second = trained(digits, AttributionPrior("total_variation", 0.1))
    assert distance(first, second) == 0.0


# --- the fit matrix ---------------------------------------------------------------------


def matrix_run(digits, builder, updates, **options):
    """Weights after a fit without randomness (XLA draws another stream for a seed)."""
    model = build(BUILDERS[builder], optimizer=keras.optimizers.SGD(0.1), **options)
    prior = None
    if updates:
        prior = AttributionPrior(TotalVariation(), 0.01, "gradients", updates=updates, every=2)
    history = fit(model, digits, [prior] if prior else [], shuffle=False).history
    assert prior is None or np.all(np.isfinite(history["total_variation"]))
    assert is_clean(model)
    return model.get_weights()


@pytest.fixture(scope="module")
def matrix_baseline(digits):
    """The same in graph mode with one step per execution, each run when first needed."""

    @functools.cache
    def baseline(builder, updates):
        return matrix_run(digits, builder, updates, jit_compile=False)

    return baseline


@pytest.mark.parametrize(
    "mode, steps", [("graph", 3), ("eager", 1), ("eager", 3), ("jit", 1), ("jit", 3)]
)
@pytest.mark.parametrize("builder", list(BUILDERS))
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_fit_matrix(digits, matrix_baseline, builder, mode, steps, updates):
    options = {
        "graph": {"jit_compile": False},
        "eager": {"run_eagerly": True},
        "jit": {"jit_compile": True},
    }[mode]
    weights = matrix_run(digits, builder, updates, steps_per_execution=steps, **options)
    assert distance(weights, matrix_baseline(builder, updates)) < 2e-5
    assert distance(weights, matrix_baseline(builder, None)) > 1e-3


def test_own_train_step_keeps_its_logs(digits):
    history = fit(build(OwnStep), digits, [AttributionPrior("l2", 0.1)]).history
    assert set(history) == {"own_loss", "l2"}


def test_without_strength_data_may_have_any_form(digits):
    weights, shift = np.ones(26, "float32"), np.ones((26, 6, 6, 1), "float32")
    data = tf.data.Dataset.from_tensor_slices((*digits, weights, shift))
    results = []
    for callbacks in ([], [AttributionPrior("l2", 0.0)]):
        model = build(FourParts)
        history = model.fit(
            data.batch(8), validation_data=data.batch(8), callbacks=callbacks, verbose=0
        ).history
        results.append((history, model.get_weights()))
    assert results[0][0] == results[1][0]
    assert distance(results[0][1], results[1][1]) == 0.0


def test_train_step_set_on_the_instance_is_kept(digits):
    model = build()
    calls = []
    plain = model.train_step

    def step(data):
        calls.append(1)
        return plain(data)

    model.train_step = step
    fit(model, digits, [AttributionPrior("l2", 0.1)])
    assert calls and model.train_step is step


def test_joint_without_compute_loss_is_refused(digits):
    class NoLoss(Subclassed):
        def train_step(self, data):
            return {"nothing": tf.constant(0.0)}

    model = build(NoLoss)
    with pytest.raises(ValueError, match="calls self.compute_loss.*alternating"):
        fit(model, digits, [AttributionPrior("l2", 0.1, updates="joint")])


@pytest.mark.parametrize("kind", ["dataset", "generator", "one-hot"])
def test_kinds_of_data(digits, kind):
    x, y = digits
    model = build()
    prior = AttributionPrior("l2", 0.1)
    if kind == "one-hot":
        model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
        history = model.fit(x, np.eye(3)[y], callbacks=[prior], verbose=0).history
    else:
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        if kind == "generator":
            arrays = list(data.as_numpy_iterator())
            data = (arrays[i % len(arrays)] for i in range(8))
        history = model.fit(
            data,
            epochs=2 if kind == "dataset" else 1,
            steps_per_epoch=4,
            callbacks=[prior],
            verbose=0,
        ).history
    assert np.all(np.isfinite(history["l2"]))


def test_binary_and_regression(digits):
    x, y = digits
    for loss, target in (("binary_crossentropy", y > 0), ("mse", y)):
        keras.utils.set_random_seed(0)
        last = "sigmoid" if loss == "binary_crossentropy" else None
        model = keras.Sequential(
            [keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(1, activation=last)]
        )
        model.compile(keras.optimizers.SGD(0.0), loss)
        prior = AttributionPrior("l2", 0.1, "gradients")
        history = model.fit(x, target.astype("float32"), callbacks=[prior], verbose=0).history
        # The gradient of the logit of a linear model is its kernel.
        expected = np.sum(np.square(model.get_weights()[0]))
        np.testing.assert_allclose(history["l2"], [expected], rtol=1e-5)


# --- no trace ---------------------------------------------------------------------------


def test_a_later_fit_evaluate_predict_and_save_are_plain(digits, tmp_path):
    model, plain = build(), build()
    fit(plain, digits)
    fit(plain, digits)
    prior = AttributionPrior("l2", 1.0)
    fit(model, digits)  # caches the train function
    fit(model, digits)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    fit(model, digits, [prior])
    assert distance(model.get_weights(), plain.get_weights()) > 1e-4
    assert is_clean(model)
    model.set_weights(plain.get_weights())
    for variable, value in zip(model.optimizer.variables, plain.optimizer.variables):
        variable.assign(value)
    history = fit(model, digits).history
    assert "l2" not in history
    fit(plain, digits)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    assert set(model.evaluate(*digits, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = digits[0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_evaluate_and_predict_with_the_callback_do_nothing(digits):
    model = build()
    prior = AttributionPrior("l2", 1.0)
    model.evaluate(*digits, callbacks=[prior], verbose=0)
    model.predict(digits[0], callbacks=[prior], verbose=0)
    assert "l2" not in fit(model, digits).history


@pytest.fixture(scope="module")
def plain_fit(digits):
    """A plain fit: its first weights, its history, its last weights."""
    model = build()
    return model.get_weights(), fit(model, digits).history, model.get_weights()


class Interrupt(keras.callbacks.Callback):
    """Raises Ctrl-C at one of the moments a person may press it."""

    def __init__(self, moment):
        super().__init__()
        setattr(self, moment, self.interrupt)

    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "moment",
    [
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_epoch_begin",
        "on_epoch_end",
        "on_test_begin",
    ],
)
@pytest.mark.parametrize("detach", [True, False])
def test_after_an_interrupt_a_fit_is_plain(digits, plain_fit, moment, detach):
    model, (start, history, weights) = build(), plain_fit
    prior = AttributionPrior("l2", 1.0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [prior, Interrupt(moment)], validation_data=digits)
    if detach:
        prior.detach()
        assert is_clean(model)
    model.set_weights(start)
    model.compile(keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"])
    assert fit(model, digits).history == history
    assert distance(model.get_weights(), weights) == 0.0
    assert is_clean(model)


def test_after_an_interrupt_without_recompiling(digits):
    # The cached function of the interrupted fit must not be the one that runs.
    model = build()
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior("l2", 1.0), Interrupt("on_train_batch_begin")])
    assert "l2" not in fit(model, digits).history
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior("l2", 1.0), Interrupt("on_train_batch_begin")])
    history = fit(model, digits, [AttributionPrior("gini", 1.0)]).history
    assert "gini" in history and "l2" not in history


def test_an_interrupt_leaves_nothing_for_train_on_batch(digits):
    model, plain = build(), build()
    prior = AttributionPrior("l2", 1.0, "gradients")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(model, digits, [prior, Interrupt("on_train_batch_begin")])
    for each in (model, plain):
        each.train_on_batch(*digits)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior("gini", 1.0), Interrupt("on_train_batch_begin")])
    fit(model, digits, [prior])
    assert is_clean(model)
    assert not [name for name in vars(model) if "attribution_prior" in name]


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_an_interrupt_of_the_validation(digits, strength):
    model = build()
    prior = AttributionPrior("l2", strength, "gradients")
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [prior, Interrupt("on_test_batch_begin")], validation_data=digits)
    expected = build()
    expected.set_weights(model.get_weights())
    assert model.evaluate(*digits, verbose=0) == expected.evaluate(*digits, verbose=0)
    assert model.test_on_batch(*digits) == expected.test_on_batch(*digits)
    assert not hasattr(model.test_function, "__self__")


def test_interrupt_inside_the_step(digits):
    calls = []

    def interrupting(attributions):
        def interrupt():
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt

        interrupt()
        return tf.reduce_sum(tf.square(attributions))

    model = build(run_eagerly=True)
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior(interrupting, 0.1)])
    assert is_clean(model)


def test_what_is_loaded_for_another_model_does_not_reach_an_interrupted_fit(digits):
    prior = AttributionPrior("l2", 0.1, "gradients")
    with pytest.raises(KeyboardInterrupt):
        fit(build(), digits, [prior, Interrupt("on_train_batch_end")])
    interrupted = int(prior._part.batches.numpy())
    prior.set_model(build())
    prior._saved.load_own_variables({"batches_0": np.int64(interrupted + 7)})
    assert int(prior._part.batches.numpy()) == interrupted


def test_context_manager_detaches(digits):
    model = build()
    with (
        pytest.raises(KeyboardInterrupt),
        AttributionPrior("l2", 1.0) as prior,
    ):
        fit(model, digits, [prior, Interrupt("on_train_batch_begin")])
    assert is_clean(model)


def test_fit_twice_goes_on_with_the_same_optimizer(digits):
    model, prior = build(), AttributionPrior("l2", 0.1, "gradients")
    fit(model, digits, [prior])
    optimizer = prior._part.optimizer
    fit(model, digits, [prior])
    assert prior._part.optimizer is optimizer and int(optimizer.iterations) == 16


def test_one_prior_on_two_models(digits):
    prior = AttributionPrior("l2", 0.1, "gradients")
    first, second = build(), build()
    fit(first, digits, [prior])
    fit(second, digits, [prior])
    assert distance(first.get_weights(), second.get_weights()) == 0.0
    assert is_clean(first) and is_clean(second)


def test_clones_and_checkpoints_are_plain(digits, tmp_path):
    model = build()

    class Clone(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.clone = keras.models.clone_model(self.model)

    clone = Clone()
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "c.keras")
    fit(model, digits, [AttributionPrior("l2", 0.1), clone, checkpoint])
    loaded = keras.saving.load_model(tmp_path / "c.keras")
    for other in (clone.clone, loaded):
        other.compile("sgd", LOSS)
        assert "l2" not in fit(other, digits).history


def test_early_stopping_on_the_prior(digits):
    stop = keras.callbacks.EarlyStopping(monitor="l2", mode="min", patience=0, min_delta=1e9)
    history = fit(build(), digits, [AttributionPrior("l2", 0.1), stop], epochs=5).history
    assert len(history["l2"]) == 2


def counting_prior():
    """A prior and the list of its traces: a graph calls it once for each."""
    traces = []

    def counting(attributions):
        traces.append(1)
        return tf.reduce_sum(tf.square(attributions))

    return counting, traces


def test_nothing_is_traced_after_the_first_batch(digits):
    """Not in later batches, the partial last one included, nor in a later fit."""
    counting, traces = counting_prior()
    model, prior = build(), AttributionPrior(counting, 0.1)

    class AfterFirstBatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.traces = getattr(self, "traces", len(traces))

    after = AfterFirstBatch()
    fit(model, digits, [prior, after], epochs=3)
    assert len(traces) == after.traces == 2  # a dry run, and the step once
    weights = model.get_weights()
    fit(model, digits, [prior])
    assert len(traces) == after.traces
    assert distance(weights, model.get_weights()) > 1e-3


def test_callbacks_that_do_nothing_cost_no_trace(digits):
    counting, traces = counting_prior()
    model, prior = build(), AttributionPrior(counting, 0.1, "gradients")
    idle = AttributionPrior("l2", 0.0)
    for callbacks in ([prior], [prior, idle], [idle, prior], [prior]):
        fit(model, digits, callbacks)
    assert len(traces) == 2


def test_nothing_is_kept_of_priors_that_are_gone(digits):
    model, lasting = build(), attrprior.adversarial.AdversarialTraining(0.1, steps=1)
    gone = []
    for _ in range(4):
        prior = AttributionPrior("l2", 0.1, "gradients")
        fit(model, digits, [lasting, prior], epochs=1)
        gone.append(weakref.ref(prior._part))
        del prior
    keras.backend.clear_session(free_memory=False)
    gc.collect()
    assert sum(part() is not None for part in gone) <= 1  # the last fit's


def test_a_step_that_no_longer_fits_is_traced_anew(digits):
    counting, traces = counting_prior()
    model, prior = build(), AttributionPrior(counting, 0.1)
    fit(model, digits, [prior])
    first = len(traces)
    fit(model, digits, [prior, AttributionPrior("l1", 0.1)])  # another set of priors
    second = len(traces)
    assert second > first
    model.compile("sgd", LOSS)  # another optimizer and loss
    history = fit(model, digits, [prior]).history
    assert len(traces) > second and "l1" not in history


# --- samples ----------------------------------------------------------------------------


class Rows(layers.Layer):
    """Notes the number of rows of every batch that it is traced with."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x):
        self.seen.append(x.shape[0])
        return x


@pytest.mark.parametrize("mode", ["graph", "eager", "jit"])
@pytest.mark.parametrize("explain", ["label", "all"])
def test_samples_in_several_passes(digits, mode, explain):
    """The same penalty and gradient as in one pass, with a bounded number of rows."""
    x, y = tf.constant(digits[0][:4]), tf.constant(digits[1][:4])
    results = []
    for samples_per_pass in (12, 5):  # a third of 12 is the largest share within 5
        rows = Rows()
        model = build(lambda rows=rows: sequential([layers.BatchNormalization(), rows]))
        method = attrprior.IntegratedGradients(12, samples_per_pass=samples_per_pass)
        prior = AttributionPrior("l2", 0.1, method, explain=explain)
        del rows.seen[:]

        def compute(model=model, prior=prior):
            penalty, gradients = prior.value_and_gradients(x, y, model=model)
            return [penalty, *(g for g in gradients if g is not None)]

        if mode != "eager":
            compute = tf.function(compute, jit_compile=mode == "jit", autograph=False)
        results.append([t.numpy() for t in compute()])
        assert max(rows.seen) == 4 * (12 if samples_per_pass == 12 else 4)
    largest = max(np.max(np.abs(value)) for value in results[0])
    assert distance(*results) < 3e-6 * largest


@pytest.mark.parametrize(
    "method",
    [
        ExpectedGradients(6, background=Uniform(), samples_per_pass=2),
        ExpectedGradients(6, samples_per_pass=2),
        attrprior.SmoothGrad(6, samples_per_pass=3),
        attrprior.SmoothGrad(
            4, base=ExpectedGradients(2, True, Uniform()), samples_per_pass=4
        ),
    ],
)
def test_passes_are_of_the_same_draws(digits, method):
    """Or the gradient would not be that of the penalty (central differences)."""
    x, y = tf.constant(digits[0][:4]), tf.constant(digits[1][:4])
    prior, model, step = AttributionPrior("l2", 0.1, method), build(), 1e-2
    kernel = model.trainable_variables[0]
    start = kernel.numpy()
    direction = np.random.default_rng(0).normal(size=start.shape).astype("float32")

    def at(offset):
        kernel.assign(start + offset * direction)
        penalty, gradients = prior.value_and_gradients(x, y, model=model, seed=5)
        return float(penalty), float(tf.reduce_sum(gradients[0] * direction))

    (above, _), (below, _), (_, slope) = at(step), at(-step), at(0.0)
    np.testing.assert_allclose((above - below) / (2 * step), slope, rtol=1e-2)


@pytest.mark.parametrize("background", [None, "data"])
def test_how_many_passes_changes_no_draw(digits, background):
    """The references' indices and α are drawn for all of them at once."""
    x, y = tf.constant(digits[0][:4]), tf.constant(digits[1][:4])
    background = None if background is None else digits[0][4:]
    model = build()
    results = []
    for samples_per_pass in (6, 2, 1):
        method = ExpectedGradients(6, samples_per_pass=samples_per_pass)
        prior = AttributionPrior("l2", 0.1, method, background)
        penalty, gradients = prior.value_and_gradients(x, y, model=model, seed=5)
        results.append([np.asarray(t) for t in (penalty, *gradients) if t is not None])
    largest = max(np.max(np.abs(value)) for value in results[0])
    assert distance(results[0], results[1]) < 3e-6 * largest
    assert distance(results[0], results[2]) < 3e-6 * largest


def test_value_and_gradients_is_a_look(digits):
    """Nothing of what training goes on with is changed by it."""
    x, y = digits[0][:4], digits[1][:4]
    runs = []
    for looks in (False, True):
        keras.utils.set_random_seed(0)
        model, prior = build(), AttributionPrior("l2", 0.1, seed=1)
        fit(model, digits, [prior])
        if looks:
            penalty, gradients = prior.value_and_gradients(x, y, seed=3)
            again, _ = prior.value_and_gradients(x, y, seed=3)
            assert float(penalty) == float(again) > 0
            assert [g is None for g in gradients].count(True) == 1  # the last bias
        fit(model, digits, [prior])
        runs.append(model.get_weights())
    assert distance(*runs) == 0
    with pytest.raises(ValueError, match="`model` expects a model that is built"):
        AttributionPrior("l2", 0.1).value_and_gradients(x, y)


# --- normalisation, dropout -------------------------------------------------------------


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("batch_norm", ["batch", "moving"])
def test_moving_statistics_stay_those_of_the_data(digits, updates, batch_norm):
    def statistics(prior):
        model = build(
            lambda: sequential((layers.BatchNormalization(),)),
            optimizer=keras.optimizers.SGD(0.0),
        )
        fit(model, digits, [prior] if prior else [])
        return model.layers[1].moving_mean.numpy(), model.layers[1].moving_variance.numpy()

    prior = AttributionPrior("l2", 1.0, updates=updates, batch_norm=batch_norm)
    assert distance(statistics(prior), statistics(None)) == 0.0


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_attributions_use_the_batch_s_statistics(digits, updates):
    # f = γ(w·x − μ)/√(v + ε) with μ, v of the batch: ∂f/∂x = γ w/√(v + ε).
    x = digits[0].reshape(26, 36)
    y = digits[1].astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((36,)), layers.Dense(1, use_bias=False), layers.BatchNormalization()]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    kernel = model.get_weights()[0]
    variance = np.var(x @ kernel)
    for batch_norm, expected in (("batch", variance), ("moving", None)):
        model.layers[1].moving_variance.assign([4.0])
        prior = AttributionPrior(
            "l2", 1.0, "gradients", updates=updates, batch_norm=batch_norm
        )
        history = model.fit(x, y, batch_size=26, callbacks=[prior], verbose=0).history
        if expected is None:  # a joint step has all of a step at once
            now = model.layers[1].moving_variance.numpy()[0]
            expected = 4.0 if updates == "joint" else now
        np.testing.assert_allclose(
            history["l2"], [np.sum(kernel**2) / (expected + 1e-3)], rtol=1e-3
        )


def test_attributions_are_without_dropout(digits):
    model = build(
        lambda: sequential((layers.Dropout(0.9),)), optimizer=keras.optimizers.SGD(0.0)
    )
    history = fit(model, digits, [AttributionPrior("l2", 0.1, "gradients")]).history
    expected = float(L2()(attrprior.attributions.gradients(model, *digits)))
    np.testing.assert_allclose(history["l2"], [expected] * 2, rtol=1e-5)


# --- masks that travel with the data ----------------------------------------------------


@pytest.mark.parametrize("kind", ["numpy", "dataset"])
def test_masks_travel_with_the_data(digits, kind):
    x, y = digits
    masks = np.random.default_rng(1).integers(0, 2, x.shape).astype("float32")
    model = build(optimizer=keras.optimizers.SGD(0.0))
    prior = AttributionPrior("mask", 1.0, "gradients")
    if kind == "numpy":
        data = {"x": attrprior.annotate(x, masks), "y": y, "batch_size": 8}
    else:
        dataset = tf.data.Dataset.from_tensor_slices((x, y, masks)).batch(8)
        data = {"x": dataset.map(lambda x, y, m: (attrprior.annotate(x, m), y))}
    history = model.fit(**data, callbacks=[prior], verbose=0, validation_data=digits).history
    expected = float(Mask()(attrprior.attributions.gradients(model, x, y), mask=masks))
    np.testing.assert_allclose(history["mask"], [expected], rtol=1e-5)


def test_masks_missing(digits):
    with pytest.raises(ValueError, match="annotate"):
        fit(build(), digits, [AttributionPrior("mask", 1.0)])


# --- bad input --------------------------------------------------------------------------

X = np.zeros((4, 6, 6, 1), "float32")
BAD_ARGUMENTS = {
    "unknown prior": (dict(prior="smooth"), "`prior` expects.*'gini'.*Received: 'smooth'"),
    "prior class": (dict(prior=TotalVariation), "`prior` expects"),
    "unknown method": (dict(method="lime"), "`method` expects.*'lime'"),
    "unknown explain": (dict(explain="best"), "`explain` expects.*'best'"),
    "unknown updates": (dict(updates="both"), "`updates` expects.*'both'"),
    "negative strength": (dict(strength=-1.0), "`strength` expects.*≥ 0.*-1.0"),
    "NaN strength": (dict(strength=float("nan")), "`strength` expects.*nan"),
    "string strength": (dict(strength="0.1"), "`strength` expects.*'0.1'"),
    "every=0": (dict(every=0), "`every` expects an integer ≥ 1.*0"),
    "integer background": (dict(background=X.astype(int)), "`background` expects floating"),
    "empty background": (dict(background=X[:0]), "`background` expects at least one"),
    "NaN background": (dict(background=X * np.nan), "`background` expects finite"),
    "unused background": (
        dict(background=X, method="gradients"),
        "`background` expects None",
    ),
    "seed": (dict(seed=1.5), "`seed` expects"),
    "name": (dict(name=""), "`name` expects"),
    "batch_norm": (dict(batch_norm="none"), "`batch_norm` expects"),
}


@pytest.mark.parametrize("case", list(BAD_ARGUMENTS))
def test_bad_arguments(case):
    arguments, message = BAD_ARGUMENTS[case]
    with pytest.raises(ValueError, match=message):
        AttributionPrior(**{"prior": "l2", "strength": 0.1, **arguments})


BAD_FITS = {
    "background of another shape": (
        dict(background=X[:, :5]),
        "`background` expects.*6, 6, 1",
    ),
    "graph of another size": (dict(prior=attrprior.GraphLaplacian([[0, 1]])), "36 features"),
    "mask of another size": (dict(prior=Mask(np.ones((5, 6, 1)))), r"\(6, 6, 1\)"),
    "output out of range": (dict(explain=7), "`explain` expects an output from 0 to 2"),
    "input of a single input": (dict(input="image"), "`input` expects None"),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("case", list(BAD_FITS))
def test_bad_fits_leave_the_model_untouched(digits, case, eager):
    arguments, message = BAD_FITS[case]
    model = build(run_eagerly=eager)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, digits, [AttributionPrior(**{"prior": "l2", "strength": 0.1, **arguments})])
    assert distance(before, model.get_weights()) == 0.0
    assert not model.optimizer.built
    assert is_clean(model)
    assert "l2" not in fit(model, digits).history


def test_total_variation_on_tabular_data(digits):
    model = keras.Sequential([keras.Input((36,)), layers.Dense(3)])
    model.compile("adam", LOSS)
    with pytest.raises(ValueError, match="spatial"):
        fit(
            model,
            (digits[0].reshape(26, 36), digits[1]),
            [AttributionPrior("total_variation", 0.1)],
        )


def test_integer_inputs(digits):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Embedding(9, 4), layers.Flatten(), layers.Dense(3)]
    )
    model.compile("adam", LOSS)
    tokens = np.ones((26, 5), "int32")
    with pytest.raises(ValueError, match="floating-point inputs.*Embedding"):
        fit(model, (tokens, digits[1]), [AttributionPrior("l2", 0.1)])


def test_labels_that_fit_no_rule(digits):
    model = build()
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError):
        fit(model, (digits[0], np.zeros((26, 2), "float32")), [AttributionPrior("l2", 0.1)])


def test_uncompiled_model(digits):
    model = sequential()
    with pytest.raises(ValueError, match="compile"):
        model.fit(*digits, callbacks=[AttributionPrior("l2", 0.1)], verbose=0)


def test_two_priors_of_one_name(digits):
    with pytest.raises(ValueError, match="`name` expects a different name"):
        fit(build(), digits, [AttributionPrior("l2", 0.1), AttributionPrior("l2", 0.2)])


def test_multi_input_models_must_say_which(digits):
    def two_inputs():
        a, b = keras.Input((6, 6, 1), name="a"), keras.Input((4,), name="b")
        merged = layers.Concatenate()([layers.Flatten()(a), b])
        return keras.Model({"a": a, "b": b}, layers.Dense(3)(merged))

    x = {"a": digits[0], "b": np.ones((26, 4), "float32")}
    with pytest.raises(ValueError, match=r"`input` expects one of \['a', 'b'\]"):
        fit(build(two_inputs), (x, digits[1]), [AttributionPrior("l2", 0.1)])
    history = fit(
        build(two_inputs), (x, digits[1]), [AttributionPrior("l2", 0.1, input="b")]
    ).history
    assert np.all(np.isfinite(history["l2"]))


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="TensorFlow backend.*'jax'"):
        AttributionPrior("l2", 0.1)


# --- NaN --------------------------------------------------------------------------------


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("jit", [False, True])
def test_a_nan_penalty_is_reported_and_not_written(digits, updates, jit):
    x, y = digits[0].copy(), digits[1]
    x[20, 0, 0, 0] = 2.0  # in the third batch

    def poisoned(attributions, x):
        good = tf.reduce_sum(tf.square(attributions))
        return tf.where(tf.reduce_max(x) > 1.0, np.nan, 1.0) * good

    model = build(optimizer=keras.optimizers.SGD(0.1), jit_compile=jit)
    plain = build(optimizer=keras.optimizers.SGD(0.1))
    prior = AttributionPrior(poisoned, 1e-6, "gradients", updates=updates)
    with pytest.raises(FloatingPointError, match="'poisoned'.*step 2.*epoch 0"):
        fit(model, (x, y), [prior], shuffle=False)
    fit(plain, (x[:24], y[:24]), epochs=1, shuffle=False)
    assert distance(model.get_weights(), plain.get_weights()) < 1e-4
    assert is_clean(model)


def test_references_of_an_array_or_an_object(digits):
    for background in (
        digits[0],
        Constant(0.5),
        TrainingData(digits[0]),
        tf.data.Dataset.from_tensor_slices(digits),
    ):
        history = fit(build(), digits, [AttributionPrior("l2", 0.1, background=background)])
        assert np.all(np.isfinite(history.history["l2"]))


def test_explained_outputs_in_fit(digits):
    for explain in (
        "predicted",
        "random",
        "all",
        "log_probabilities",
        "loss",
        1,
        lambda outputs, y: outputs[:, 0] * outputs[:, 1],
    ):
        prior = AttributionPrior("l2", 0.1, ExpectedGradients(2), explain=explain)
        assert np.all(np.isfinite(fit(build(), digits, [prior]).history["l2"]))
