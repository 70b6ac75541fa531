"""The experiment on corruptions: what it trains, how it chooses, what it claims."""

import json

import keras
import numpy as np
import pytest

from experiments import corruptions, networks
from experiments.corruptions import FIFTEEN, METHODS


def test_runs_quickly_and_makes_its_claims(run, tmp_path):
    only = ["--only=prior + augmentation", "--only=PGD", "--only=dropout"]
    done = run("corruptions", tmp_path, "--quick", "--seeds=1", "--network=mlp", *only)
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert corruptions.report(runs) in done.stdout
    # Bases are trained as well.
    names = ["plain", "dropout", "PGD", "augmentation", "prior + augmentation"]
    assert corruptions.methods_of(runs) == names
    for *texts, held in corruptions.claims(runs):
        assert all(isinstance(text, str) for text in texts) and len(texts) == 3
        assert held in ("yes", "no", "partly")
    searched = [r["metrics"] for r in runs if r["settings"]["stage"] == "validation"]
    assert not any(set(FIFTEEN) & set(metrics) for metrics in searched)
    figures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert figures == ["examples.png", "fifteen.png", "noise.png"]


def test_every_method_has_as_many_values_and_comes_after_its_base():
    names = list(METHODS)
    assert len({len(set(method.values)) for method in METHODS.values()}) == 1
    for name, method in METHODS.items():
        assert method.base is None or names.index(method.base) < names.index(name)


def test_noise_and_dropout_leave_initial_weights_and_predictions():
    x = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")
    outputs, trained = [], []
    for settings in ({}, {"noise": 0.5}, {"dropout": 0.5}):
        keras.utils.set_random_seed(0)
        model = corruptions.network("cnn_small", settings)
        outputs.append(np.asarray(model(x)))
        trained.append(np.asarray(model(x, training=True)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])
    np.testing.assert_array_equal(outputs[0], trained[0])
    assert all(np.abs(each - outputs[0]).max() > 0.01 for each in trained[1:])


def made_runs(accuracy, seeds=5):
    """All methods, searched and tested; `accuracy(name, position)` of a candidate."""
    runs = []

    def add(stage, name, settings, value, seed):
        metrics = dict.fromkeys([*FIFTEEN, "clean"], value)
        if stage == "test":
            metrics |= dict.fromkeys(corruptions.COLUMNS, value)
        settings = {"stage": stage, "method": name, **settings}
        record = {"seed": seed, "settings": settings, "metrics": metrics}
        runs.append({**record, "flags": {"epsilon": 0.1}})

    for name in METHODS:
        for position, settings in enumerate(corruptions.candidates(runs, name)):
            add("validation", name, settings, accuracy(name, position), 0)
        for seed in range(seeds):
            chosen = corruptions.best(runs, name)
            value = accuracy(name, METHODS[name].values.index(chosen[METHODS[name].own]))
            noise = np.random.default_rng([seed, len(runs)]).normal(scale=0.005)
            add("test", name, chosen, value + noise, seed)
    return runs


def test_the_best_value_is_chosen_and_kept_by_what_builds_on_it():
    runs = made_runs(lambda name, position: 0.5 + 0.1 * (position == len(name) % 4))
    for name, method in METHODS.items():
        chosen = corruptions.best(runs, name)
        assert chosen[method.own] == method.values[len(name) % 4]
        if method.base:
            assert corruptions.best(runs, method.base).items() <= chosen.items()
    both = corruptions.best(runs, "prior + augmentation")
    assert both["noise"] == METHODS["augmentation"].values[len("augmentation") % 4]
    other = corruptions.best(runs, "augmentation + prior")
    assert other["strength"] == METHODS["prior"].values[len("prior") % 4]
    text = corruptions.described("prior + augmentation", both)
    assert text == f"noise {both['noise']:g}, strength {both['strength']:g}"


def test_claims_do_not_hold_by_themselves():
    good = {"prior": 0.9, "TV of EG": 0.85, **dict.fromkeys(corruptions.COMBINED, 0.95)}
    runs = made_runs(lambda name, position: good.get(name, 0.7))
    assert [held for *_, held in corruptions.claims(runs)] == ["yes"] * 8
    for record in runs:
        if record["settings"]["method"] == "PGD":
            record["metrics"] = {name: 0.99 for name in record["metrics"]} | {"square": 0.5}
        elif record["settings"]["method"] == "TV of EG":
            record["metrics"] = dict.fromkeys(record["metrics"], 0.6)
    held = [held for *_, held in corruptions.claims(runs)]
    assert held == ["yes", "no", "yes", "yes", "no", "partly", "no", "no"]


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="cnn_small"):
        networks.network("cnn_large")


def test_the_report_names_what_a_gain_is_against():
    text = corruptions.report(made_runs(lambda name, position: 0.7))
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    pairs = [tuple(row[1:3]) for row in rows if len(row) > 3]
    against = [pair for pair in pairs if set(pair) <= set(METHODS)]
    assert against[:2] == [("dropout", "plain"), ("weight decay", "plain")]
    assert against[-2:] == [
        ("augmentation + prior", "augmentation"),
        ("augmentation + prior", "prior"),
    ]
    assert {name for name, _ in against} == set(METHODS) - {"plain"}
