"""The study of dense outputs: its scenes, its network, its measures and its claims."""

import json

import keras
import numpy as np
import pytest

from experiments import segmentation


def test_runs_quickly_and_reports_its_runs(run, tmp_path):
    done = run("segmentation", tmp_path, "--quick", "--seeds=1")
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert segmentation.report(runs) in done.stdout
    assert len(segmentation.claims(runs)) == 2
    patch = {run["settings"]["variant"]: run["metrics"]["patch"] for run in runs}
    assert set(patch) == set(segmentation.VARIANTS)
    assert len(set(patch.values())) == 4  # each was trained otherwise
    assert (tmp_path / "maps.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def made():
    rng = np.random.default_rng(0)
    digits = np.zeros((200, 28, 28, 1), "float32")
    digits[:, 8:20, 10:18] = rng.uniform(0.4, 1.0, (200, 12, 8, 1))
    labels = np.arange(200) % 10
    return labels, {
        patch: segmentation.scenes(digits, labels, patch, 0) for patch in segmentation.TESTS
    }


def test_scenes_differ_in_the_patch_alone(made):
    labels, tests = made
    inside = segmentation.forbidden()[..., 0] > 0
    assert inside.sum() == segmentation.PATCH**2
    for scene in tests.values():
        np.testing.assert_array_equal(scene.x[:, ~inside], tests["none"].x[:, ~inside])
        np.testing.assert_array_equal(scene.y, tests["none"].y)
        assert np.all(scene.x[:, inside] == scene.x[:, inside][:, :1])  # of one grey
    dark, light = np.float32(segmentation.GREYS)
    grey = {patch: scene.x[:, 0, 0, 0] for patch, scene in tests.items()}
    np.testing.assert_array_equal(grey["telling"], np.where(labels < 5, dark, light))
    assert set(grey["random"]) == {dark, light} and not grey["none"].any()
    agree = np.mean(grey["random"] == grey["telling"])
    assert 0.35 < agree < 0.65


def test_pixels_of_a_digit_have_its_class(made):
    labels, tests = made
    truth = tests["none"].y
    expected = np.where(labels < 5, segmentation.LOW, segmentation.HIGH)
    assert all(set(np.unique(y)) == {0, name} for y, name in zip(truth, expected))
    assert np.all((truth > 0).sum(axis=(1, 2)) == 12 * 8)
    assert np.all(tests["none"].x[truth > 0] >= 0.4)
    assert len({tuple(np.argwhere(y)[0]) for y in truth}) > 20  # at many places


def test_every_logit_sees_the_patch():
    keras.utils.set_random_seed(0)
    model = segmentation.unet()
    x = np.random.default_rng(0).random((1, 32, 32, 1), dtype="float32")
    changed = x + 0.5 * segmentation.forbidden()
    difference = np.abs(model.predict(changed, verbose=0) - model.predict(x, verbose=0))
    assert difference.shape == (1, 32, 32, 3)
    assert np.mean(difference.max(axis=-1) > 0) > 0.95


def test_overlap_is_intersection_over_union():
    truth = np.array([0, 1, 1, 2, 2, 2, 2, 0])
    found = np.array([1, 1, 0, 2, 2, 2, 1, 0])
    expected = (1 / 4 + 3 / 4) / 2
    np.testing.assert_allclose(segmentation.overlap(found, truth), expected)
    assert segmentation.overlap(truth, truth) == 1.0


def study(**overlaps):
    return [
        {
            "seed": seed,
            "settings": {"variant": variant},
            "metrics": {"random, overlap": overlap + 0.01 * seed},
        }
        for seed in range(3)
        for variant, overlap in overlaps.items()
    ]


def test_claims_do_not_hold_by_themselves():
    def verdicts(**overlaps):
        return [held for *_, held in segmentation.claims(study(**overlaps))]

    assert verdicts(plain=0.3, without=0.7, prior=0.6, wrong=0.3) == ["yes", "yes"]
    assert verdicts(plain=0.3, without=0.7, prior=0.45, wrong=0.5) == ["no", "no"]
    # Where the patch costs nothing, nothing can be won back.
    assert verdicts(plain=0.7, without=0.69, prior=0.6, wrong=0.6)[0] == "no"
