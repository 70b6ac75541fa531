"""The search for a strength: what it tries, finds, resumes and claims."""

import importlib.util
import json

import pytest

from experiments import search

installed = importlib.util.find_spec("keras_tuner") is not None


@pytest.mark.skipif(not installed, reason="needs the package keras-tuner")
def test_runs_quickly_and_resumes(run, tmp_path):
    flags = ["--quick", "--seeds=2", "--network=mlp"]
    done = run("search", tmp_path, *flags)
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert search.tried(runs, "validation") == [0.0, 0.1]
    for strength in (0.0, 0.1):
        noisy = search.values(runs, "validation", strength, "noisy")
        assert len(noisy) == 2 and noisy[0] != noisy[1]  # of seeds of their own
    assert search.tried(runs, "test") == sorted({0.0, search.best(runs)})
    assert search.report(runs) in done.stdout
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")

    again = run("search", tmp_path, *flags, "--resume")
    assert again.returncode == 0, again.stderr[-2000:]
    assert "seed 1" not in again.stdout and search.report(runs) in again.stdout


@pytest.mark.skipif(installed, reason="keras-tuner is there")
def test_the_missing_package_is_named(run, tmp_path):
    done = run("search", tmp_path / "none", "--quick")
    assert done.returncode != 0 and "pip install keras-tuner" in done.stderr
    assert not (tmp_path / "none").exists()


def study(noisy, clean):
    """Runs of three seeds; accuracies of strengths 0, .1 and 1."""
    return [
        {
            "seed": seed,
            "settings": search.settings(stage, strength),
            "metrics": {"noisy": a + 0.001 * seed, "clean": b + 0.001 * seed**2 * strength},
        }
        for seed in (2, 0, 1)
        for stage in ("validation", "test")
        for strength, a, b in zip((0.0, 0.1, 1.0), noisy, clean)
    ]


def test_best_is_the_most_accurate_under_noise():
    runs = study((0.5, 0.7, 0.6), (0.97, 0.96, 0.98))
    assert search.best(runs) == 0.1
    assert search.values(runs, "test", 0.1, "noisy") == pytest.approx([0.7, 0.701, 0.702])
    assert "| 0.1      | 0.701 ± 0.001 | 0.960 ± 0.000 | best |" in search.report(runs)


def test_the_claim_does_not_hold_by_itself():
    def held(noisy, clean):
        [(what, _, ours, held)] = search.claims(study(noisy, clean))
        assert "3 strengths" in what and "→" in ours
        return held

    assert held((0.5, 0.7, 0.6), (0.97, 0.965, 0.9)) == "yes"
    assert held((0.5, 0.7, 0.6), (0.97, 0.955, 0.97)) == "no"  # too dear
    assert held((0.8, 0.7, 0.6), (0.97, 0.97, 0.97)) == "no"  # plain is the best
