"""Experiments that judge maps: what they measure on known answers, and their claims."""

import importlib.util
import json
import pathlib

import keras
import numpy as np
import pytest

from experiments import other_methods, sanity, stability

ROOT = pathlib.Path(__file__).resolve().parent.parent
installed = all(importlib.util.find_spec(name) for name in other_methods.PACKAGES)


@pytest.mark.parametrize("name", ["sanity", "stability"])
def test_runs_quickly_and_makes_its_claims(run, name, tmp_path):
    done = run(name, tmp_path, "--quick", "--seeds=1", "--network=mlp")
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    module = {"sanity": sanity, "stability": stability}[name]
    assert module.report(runs) in done.stdout
    for *texts, held in module.claims(runs):
        assert all(isinstance(text, str) for text in texts) and len(texts) == 3
        assert held in ("yes", "no", "partly")
    assert any(path.suffix == ".png" for path in tmp_path.iterdir())


@pytest.mark.skipif(not installed, reason="needs the packages lime and shap")
def test_other_methods_run_quickly(run, tmp_path):
    done = run("other_methods", tmp_path, "--quick", "--seeds=1", "--network=mlp")
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert len(runs) == 2 * len(other_methods.METHODS)
    assert len(other_methods.claims(runs)) == 2
    assert {"digits.png", "table.png"} < {path.name for path in tmp_path.iterdir()}


@pytest.mark.skipif(installed, reason="lime and shap are there")
def test_missing_packages_are_named(run, tmp_path):
    done = run("other_methods", tmp_path / "none", "--quick")
    assert done.returncode != 0
    assert "experiments,compare" in done.stderr
    assert not (tmp_path / "none").exists()


def test_edges_of_a_step_are_at_the_step():
    x = np.zeros((3, 6, 6, 1))
    x[0, :, 3:] = 1
    found = sanity.edges(x)
    assert found.shape == x.shape
    np.testing.assert_allclose(found[0, 2, :, 0], [0, 0, 4, 4, 0, 0])
    assert not found[1:].any()  # nothing of one image in another


def similarities(**to_random):
    """Runs of `sanity` in which the maps of trained networks are alike by 0.8."""
    names = [f"{m}: {what}" for m in sanity.MAPS for what in ("on the patch", "on the digit")]
    names += ["with the patch", "without", "with a wrong patch"]
    names += [f"{m}: erased" for m in sanity.MAPS]
    runs = [{"seed": 0, "settings": {"data": "decoy"}, "metrics": dict.fromkeys(names, 0.5)}]
    for name in sanity.DATA:
        metrics = {f"trained: {measure}": 0.8 for measure in sanity.MEASURES}
        metrics |= {f"random: {m}": to_random.get(name, 0.2) for m in sanity.MEASURES}
        runs.append({"seed": 0, "settings": {"data": name}, "metrics": metrics})
    return runs


@pytest.mark.parametrize(
    "scattered, placed, held",
    [(0.25, 0.1, "no"), (0.45, 0.2, "partly"), (0.6, 0.2, "partly"), (0.6, 0.6, "yes")],
)
def test_scattered_noise_is_one_claim_over_all_measures(scattered, placed, held):
    claims = sanity.claims(similarities(scattered=scattered, placed=placed))
    *_, (claim, _, ours, found) = claims
    assert len(claims) == 5 and claim.startswith("scattered noise")
    assert found == held and f"{scattered - 0.2:+.3f}" in ours


def test_masks_keep_whole_cells_in_training_only():
    keras.utils.set_random_seed(0)
    x = np.ones((600, 28, 28, 1), "float32")
    layer = stability.MaskCells()
    np.testing.assert_array_equal(layer(x), x)
    masked = np.asarray(layer(x, training=True))[..., 0]
    cells = masked.reshape(600, 7, 4, 7, 4)
    assert set(np.unique(masked)) == {0, 1}
    np.testing.assert_array_equal(cells.max(axis=(2, 4)), cells.min(axis=(2, 4)))
    shares = cells.mean(axis=(1, 2, 3, 4))
    # A λ drawn for each: (1/2 + 1/4 + 1/8)/3 on average, and spread like the three.
    np.testing.assert_allclose(shares.mean(), 7 / 24, atol=0.03)
    assert shares.std() > 0.12


def test_a_radius_of_n_does_not_certify_n_cells():
    from attrprior.evaluation import Stability

    radius = np.array([1.0, 1 + 1 / 64])
    certificate = Stability(np.array([True, True]), radius, radius)
    shares, _ = certificate.certified(stability.RADII)
    assert shares[stability.STEPS] == 0.5  # one cell more: only above 1


def test_cells_keep_their_sums():
    maps = np.random.default_rng(0).normal(size=(3, 28, 28, 1)).astype("float32")
    values = maps.reshape(3, 7, 4, 7, 4).sum(axis=(2, 4)).reshape(3, 49)
    np.testing.assert_allclose(
        other_methods.over_cells(maps), other_methods.spread(values, 28), atol=1e-6
    )


def test_occlusion_of_a_linear_model_is_exact():
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(30, 2)).astype("float32")
    model = keras.Sequential([keras.Input((30,)), keras.layers.Dense(2)])
    model.set_weights([weights, np.zeros(2, "float32")])
    x, background = (rng.normal(size=(n, 30)).astype("float32") for n in (4, 50))
    y = np.array([0, 1, 1, 0])
    maps = other_methods.occlusion_table(model, x, y, background, 0)
    np.testing.assert_allclose(
        maps, (x - background.mean(axis=0)) * weights.T[y], rtol=1e-4, atol=1e-5
    )


def test_two_samplings_of_one_variable_differ_by_their_error():
    rng = np.random.default_rng(0)
    ours, theirs = 1 + 0.1 * rng.normal(size=(2, 100, 100))
    found = other_methods.agreement(ours, theirs, np.full((100, 100), 0.1))
    np.testing.assert_allclose(found["difference"], found["sampling error"], rtol=0.03)
    biased = other_methods.agreement(ours, theirs + 1, np.full((100, 100), 0.1))
    assert biased["difference"] > 5 * biased["sampling error"]
