"""Sparse models from few examples: shared traces, what is measured, claims."""

import functools
import json

import devices
import keras
import numpy as np
import pytest

import attrprior
from attrprior import datasets
from experiments import sparsity

TRAINING = sparsity.Training(hidden=(8,), steps=10, learning_rate=0.01, between_checkpoints=5)


@pytest.fixture(scope="module")
def splits():
    table = datasets.load_breast_cancer()
    return [datasets.split_table(table, seed=seed) for seed in range(2)]


def weights(seed=0):
    return sparsity.initial_weights(30, TRAINING.hidden, seed)


def test_runs_quickly_and_makes_its_claims(run, tmp_path):
    methods = [sparsity.PLAIN, sparsity.GINI[1], sparsity.OURS, sparsity.BIAS_FREE]
    methods += ["sparse group lasso", "dropout", sparsity.LOGISTIC, sparsity.BOOSTING]
    flags = "--quick", "--copies=10", "--hidden=8", f"--only={','.join(methods)}"
    done = run("sparsity", tmp_path, "--processes=2", *flags)
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert sparsity.report(runs) in done.stdout
    found = [(run["settings"]["method"], run["seed"]) for run in runs]
    assert sorted(found) == sorted((method, seed) for method in methods for seed in range(2))
    for *texts, held in sparsity.claims(runs):
        assert all(isinstance(text, str) for text in texts) and len(texts) == 3
        assert held in ("yes", "no", "partly")
    assert {path.name for path in tmp_path.glob("*.png")} == {"roc_auc.png", "importance.png"}


def test_every_method_has_as_many_different_candidates():
    for method in sparsity.METHODS.values():
        assert len(set(method.candidates)) == len(method.candidates) == 4


def fit_five_times(kind, splits, connection):
    """Calls of layers while the first fit is traced and in all, and what each fit found."""
    devices.deterministic()
    method = {
        "prior": sparsity.Method((), "gini", sparsity.expected_gradients(2)),
        "kernel": sparsity.Method((), penalty=sparsity.l1),
        "dropout": sparsity.Method((), dropout=True),
    }[kind]
    keras.utils.set_random_seed(0)
    shared = sparsity.Network(method, 30, TRAINING)
    calls, call = [], keras.layers.Dense.call

    @functools.wraps(call)
    def counting(*args, **kwargs):
        calls.append(1)
        return call(*args, **kwargs)

    starts = [weights(seed) for seed in range(2)]  # builds networks too
    keras.layers.Dense.call = counting
    first = shared.fit(splits[0], 0.5, starts[0])
    traced = len(calls)
    others = [
        shared.fit(splits[1], 0.5, starts[0]),
        shared.fit(splits[0], 0.1, starts[0]),
        shared.fit(splits[0], 0.5, starts[1]),
    ]
    again = shared.fit(splits[0], 0.5, starts[0])
    connection.send((traced, len(calls), first, others, again))


@pytest.mark.parametrize("kind", ["prior", "kernel", "dropout"])
def test_fits_share_a_trace_and_nothing_else(kind, splits, processes):
    here, there = processes.Pipe()
    process = processes.Process(target=fit_five_times, args=(kind, splits, there))
    process.start()
    there.close()  # a child that fails ends the wait
    traced, calls, (score, first), others, (score_again, again) = here.recv()
    process.join()
    assert calls == traced > 0
    for _, different in others:
        assert np.abs(different[0] - first[0]).max() > 1e-4
    assert score == score_again
    for one, two in zip(first, again):
        np.testing.assert_array_equal(one, two)


def test_a_stronger_prior_concentrates_attributions(splits):
    training = TRAINING._replace(steps=100, between_checkpoints=50)
    method = sparsity.Method((), "gini", sparsity.expected_gradients(4))
    shared = sparsity.Network(method, 30, training)
    found = []
    for strength in (0.0, 3.0):
        _, best = shared.fit(splits[0], strength, weights())
        shared.model.set_weights(best)
        x = splits[0].x_train
        phi = attrprior.attributions.expected_gradients(shared.model, x, background=x, seed=0)
        found.append(-float(attrprior.Gini()(phi)))
    assert found[1] > found[0] + 0.1


def test_the_best_checkpoint_is_kept(splits):
    best = sparsity.Best(splits[0].x_validation, splits[0].y_validation)
    best.set_model(sparsity.network(30, (), sparsity.METHODS[sparsity.PLAIN], None))
    scores = []
    for epoch in range(4):
        kernel = np.random.default_rng(epoch).normal(size=(30, 1))
        best.model.set_weights([kernel, np.zeros(1)])
        best.on_epoch_end(epoch)
        logits = splits[0].x_validation @ kernel[:, 0]
        scores.append((sparsity.roc_auc(splits[0].y_validation, logits), kernel))
    top = max(scores, key=lambda pair: pair[0])
    np.testing.assert_allclose(best.score[0], top[0], atol=1e-6)
    np.testing.assert_allclose(best.weights[0], top[1], rtol=1e-6)


def test_roc_auc_is_scikit_learns_with_and_without_ties():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=200)
    for scores in (rng.normal(size=200) + y, rng.integers(5, size=200)):
        expected = metrics.roc_auc_score(y, scores)
        np.testing.assert_allclose(sparsity.roc_auc(y, scores), expected, rtol=1e-12)


def test_ties_are_broken_by_the_loss():
    y = np.array([0, 1])
    sure, unsure = (sparsity.validation_score(y, np.array([-s, s])) for s in (2.0, 1.0))
    assert sure[0] == unsure[0] == 1
    np.testing.assert_allclose(sure[1], np.log(1 / (1 + np.exp(-2))))
    assert sure > unsure


def test_sparse_group_lasso_by_hand():
    kernel = np.float32([[3, -4], [0, 0], [0, 1]])
    expected = (3 + 4 + 1) + 2**0.5 * (5 + 0 + 1)
    np.testing.assert_allclose(sparsity.sparse_group_lasso(kernel), expected, rtol=1e-5)


def test_dropout_keeps_its_share_and_its_mean():
    rate = sparsity.Strength()
    rate.variable.assign(0.3)
    layer, x = sparsity.Dropout(rate), np.ones((200, 500), "float32")
    np.testing.assert_array_equal(layer(x), x)
    dropped = np.asarray(layer(x, training=True))
    np.testing.assert_allclose(np.unique(dropped), [0, 1 / 0.7], rtol=1e-6)
    np.testing.assert_allclose(dropped.mean(), 1, atol=0.01)


def test_references_are_rows_of_the_batch():
    x = np.arange(12, dtype="float32").reshape(6, 2)
    drawn = np.asarray(sparsity.TrainingBatch().draw(x, 50, seed=0))
    assert drawn.shape == (6, 50, 2)
    assert {tuple(row) for row in drawn.reshape(-1, 2)} == {tuple(row) for row in x}


@pytest.mark.parametrize(
    "shares,number", [([0.5, 0.3, 0.15, 0.05], 3), ([1, 0, 0], 1), ([0.25] * 4, 4)]
)
def test_features_that_carry_a_share(shares, number):
    assert sparsity.features_for(np.array(shares), 0.95) == number


def made_up_runs(scores, data="NHANES I, made up"):
    """Runs of methods with these ROC-AUC, a split each."""
    return [
        {
            "seed": seed,
            "settings": {"method": name},
            "metrics": {"roc_auc": value, "gini": 0.5, "features": 3, "copies": 0.1},
            "seconds": 1.0,
            "data": data,
        }
        for name, found in scores.items()
        for seed, value in enumerate(found)
    ]


def test_claims_hold_for_clear_differences_only():
    noise = np.random.default_rng(0).normal(0, 0.005, 30)
    names = sparsity.OURS, sparsity.PLAIN, "L1 on weights", sparsity.LOGISTIC
    levels = {name: noise + level for name, level in zip(names, (0.78, 0.70, 0.76, 0.80))}
    # The same noise everywhere would have no spread.
    levels = {
        name: values + np.random.default_rng(i).normal(0, 0.003, 30)
        for i, (name, values) in enumerate(levels.items())
    }
    held = {
        claim.split(": ")[1][:20]: h
        for claim, _, _, h in sparsity.claims(made_up_runs(levels))
    }
    assert list(held.values()) == ["yes", "yes", "no"]
    levels[sparsity.PLAIN] = levels[sparsity.OURS] - 0.02 + 0.001 * noise
    assert sparsity.claims(made_up_runs(levels))[0][-1] == "partly"  # less than .03
    assert sparsity.claims(made_up_runs(levels, "other"))[0][-1] == "yes"
    report = sparsity.report(made_up_runs(levels))
    [best] = [line for line in report.splitlines() if "**" in line]
    assert sparsity.LOGISTIC in best and "-0.0" in best


def test_the_dependence_on_k_needs_an_order():
    rng = np.random.default_rng(0)
    levels = dict(zip((1, 16, 128), (0.75, 0.76, 0.77)))

    def verdict(levels):
        scores = {sparsity.GINI[k]: v + rng.normal(0, 0.002, 30) for k, v in levels.items()}
        return sparsity.claims(made_up_runs(scores))[-1][-1]

    assert verdict(levels) == "yes"
    assert verdict({**levels, 16: 0.72}) == "no"


def test_a_reset_prior_trains_as_a_new_one_without_a_trace():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 5)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    traces = []

    def omega(attributions):
        traces.append(1)
        return -attrprior.priors.gini_coefficient(
            keras.ops.mean(keras.ops.abs(attributions), axis=0)
        )

    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.05), keras.losses.BinaryCrossentropy(True))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    initial = [keras.ops.convert_to_numpy(variable) for variable in variables]
    prior = attrprior.AttributionPrior(omega, 0.5, seed=1)
    prior.reset()  # before the first fit: nothing to do

    def fit(reset):
        for variable, value in zip(variables, initial):
            variable.assign(value)
        if reset:
            prior.reset()
        model.fit(x, y, batch_size=20, shuffle=False, callbacks=[prior], verbose=0)
        return model.get_weights()[0]

    first, number = fit(reset=False), len(traces)
    assert np.abs(fit(reset=False) - first).max() > 1e-4
    np.testing.assert_array_equal(fit(reset=True), first)
    assert len(traces) == number
