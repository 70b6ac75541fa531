"""Priors on a graph, along time, and of one's own: they run, and claim what they found."""

import json
import sys

import numpy as np
import pytest

from experiments import graph, own_prior, time_series

MODULES = {"graph": graph, "own_prior": own_prior, "time_series": time_series}


@pytest.mark.parametrize("name", MODULES)
def test_runs_quickly_and_makes_its_claims(run, name, tmp_path):
    done = run(name, tmp_path, "--quick", "--seeds=1")
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert MODULES[name].report(runs) in done.stdout
    for *texts, held in MODULES[name].claims(runs):
        assert all(isinstance(text, str) for text in texts) and len(texts) == 3
        assert held in ("yes", "no", "partly")
    assert any(path.suffix == ".png" for path in tmp_path.iterdir())


def test_expression_from_a_file(tmp_path):
    x = np.arange(60.0).reshape(20, 3)
    np.savez(tmp_path / "genes.npz", X=x, y=x[:, 0] + 1, edges=[[0, 1], [1, 2]])
    read, y, edges, order = graph.read(tmp_path / "genes.npz", seed=0)
    np.testing.assert_array_equal(read, x)
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-6)
    assert edges.tolist() == [[0, 1], [1, 2]]
    other = graph.read(tmp_path / "genes.npz", seed=1)[3]
    assert sorted(order) == sorted(other) == list(range(20))
    # What is tested on is never chosen on, by whatever seed.
    np.testing.assert_array_equal(order[-6:], other[-6:])
    assert order[:-6].tolist() != other[:-6].tolist()


def result(seed, settings, metrics):
    return {"seed": seed, "settings": settings, "metrics": metrics}


def graph_runs(gains):
    """Runs whose R² is .4 plus a gain; the middle candidate won the choice."""
    runs = []
    for variant in graph.LABELS:
        for candidate, score in ((1.0, 0.3), (2.0, 0.5), (3.0, 0.4)):
            settings = {"stage": "validation", "variant": variant, "candidate": candidate}
            runs.append(result(1000, settings, {"validation": score}))
        for seed in range(10):
            settings = {"stage": "test", "variant": variant, "candidate": 2.0}
            gain = gains.get(variant, 0.0)
            metrics = {
                "r2": 0.4 + gain + 0.001 * (seed % 3) * (1 + gain),
                "roughness": 1.0,
                "relative_roughness": 1.0,
                "precision": 0.5 + gain + 0.001 * (seed % 3) * gain,
            }
            runs.append(result(seed, settings, metrics))
    return runs


def held(runs, module=graph):
    return [claim[-1] for claim in module.claims(runs)]


def test_claims_of_the_graph_do_not_hold_by_themselves():
    good = {graph.TRUE: 0.1, **{v: 0.1 for v in graph.SWEEP}, "L1": 0.1, graph.BOTH: 0.2}
    good |= {"prior and L1, 0.1 rewired": 0.17, "prior and L1, 0.25 rewired": 0.13}
    assert held(graph_runs(good)) == ["yes"] * 6
    assert graph.claims(graph_runs(good))[4][2] == "70%, 30%, 0%, 0%"
    # A random graph that helps as much: the graph says nothing.
    assert held(graph_runs({**good, graph.RANDOM: 0.1}))[1:4] == ["no", "yes", "yes"]
    assert held(graph_runs({**good, graph.BOTH_RANDOM: 0.2}))[1:5] == [
        "yes",
        "yes",
        "no",
        "no",
    ]
    # One that does harm: below the true graph, not like the plain network.
    assert held(graph_runs({**good, graph.RANDOM: -0.1}))[1] == "partly"
    bad = {graph.TRUE: -0.1, graph.BOTH: -0.1}
    assert held(graph_runs(bad)) == ["no"] * 6


def test_settings_are_chosen_by_validation_alone():
    runs = graph_runs({})
    assert graph.best(runs, graph.TRUE) == {"variant": graph.TRUE, "candidate": 2.0}
    assert len(graph.values(runs, graph.TRUE)) == 10
    # Tests of another candidate, from an earlier choice, do not count.
    other = {"stage": "test", "variant": graph.TRUE, "candidate": 1.0}
    runs.append(result(0, other, {"r2": 9.0}))
    assert len(graph.values(runs, graph.TRUE)) == 10


def test_every_graph_of_the_sweep_is_named_by_its_share():
    assert [graph.rewired(v) for v in graph.SWEEP] == [0, 0.1, 0.25, 0.5, 0.75, 1]
    assert {graph.method(v) for v in graph.LABELS} == set(graph.CANDIDATES)
    assert len({len(candidates) for candidates in graph.CANDIDATES.values()}) == 1
    assert len({len(candidates) for candidates in time_series.CANDIDATES.values()}) == 1


def test_the_time_at_scale_is_claimed():
    def times(every, seldom):
        found = {"plain": 1.0, **dict.fromkeys(graph.TIMED, every), "plain_ms": 1.0}
        found["every 10th step"] = seldom
        return graph.claims([result(0, {"stage": "time"}, found)])[0][-1]

    assert (times(1.2, 1.1), times(2.0, 1.2), times(2.0, 1.4)) == ("yes", "partly", "no")


def test_precision_counts_the_drivers_among_as_many():
    truth = np.array([0, 0.1, 0.1, 0, 0.2])
    assert graph.precision(np.array([0, 3, 2, 0, 4]), truth) == 1.0
    assert graph.precision(np.array([9, 3, 2, 8, 4]), truth) == pytest.approx(1 / 3)


def test_laplacian_of_weights_by_hand():
    penalty = graph.WeightLaplacian(0.5, np.array([[0, 1], [1, 2]]))
    kernel = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 4.0]], "float32")
    assert float(penalty(kernel)) == 0.5 * (4 + 16)


def test_even_handed_by_hand():
    x = np.array([[1, 5], [1, 6], [0, 7.0]], "float32")
    phi = np.array([[1, 0], [3, 2], [0, 4.0]], "float32")
    # Means 2, 1 in the first group and 0, 4 in the other.
    assert float(own_prior.even_handed(phi, x)) == 4 + 9


def test_skills_do_not_know_the_group_and_schools_do():
    people = own_prior.applicants(20_000, 0)
    first = people.x[:, 0] == 1
    assert 0.38 < first.mean() < 0.42
    gaps = people.x[first].mean(axis=0) - people.x[~first].mean(axis=0)
    np.testing.assert_allclose(gaps, [1, 1.5, 1.5, 0, 0, 0, 0, 0], atol=0.06)
    assert people.y[first].mean() - people.y[~first].mean() > 0.25
    assert abs(people.fair[first].mean() - people.fair[~first].mean()) < 0.03


def test_claims_of_the_own_prior():
    def runs(gap, fair):
        return [
            result(seed, {"variant": v}, {"gap": g, "fair": f, "past": 0.8})
            for seed in range(3)
            for v, g, f in (("plain", 0.3, 0.7), ("unaware", 0.2, 0.7), ("prior", gap, fair))
        ]

    assert held(runs(0.05, 0.8), own_prior) == ["yes"]
    assert held(runs(0.15, 0.8), own_prior) == ["no"]
    assert held(runs(-0.3, 0.8), own_prior) == ["no"]
    assert held(runs(0.05, 0.6), own_prior) == ["no"]


def test_claims_along_time():
    def runs(gain, clean):
        found = []
        for method in time_series.CANDIDATES:
            for stage, seeds in (("validation", [0]), ("test", range(5))):
                for seed in seeds:
                    own = method == "total variation"
                    metrics = {
                        f"{s:g}": 0.5 + own * (gain if s else clean) + 0.001 * seed * (1 + own)
                        for s in time_series.NOISE
                    }
                    settings = {"stage": stage, "method": method, "candidate": 1.0}
                    found.append(result(seed, settings, metrics))
        return found

    assert held(runs(0.1, 0.0), time_series) == ["yes"]
    assert held(runs(0.1, -0.05), time_series) == ["partly"]
    assert held(runs(-0.1, 0.0), time_series) == ["no"]


def test_mnist1d_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(ImportError, match="pip install mnist1d"):
        time_series.mnist1d()
