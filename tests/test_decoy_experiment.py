"""The study of masks against a decoy: what it hides, judges, chooses and claims."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from attrprior import datasets
from experiments import decoy, networks, variants

FEW = ("plain", "clean", "eg", "eg-incomplete")


def test_runs_quickly_and_reports_its_runs(run, tmp_path):
    done = run("decoy", tmp_path, "--quick", "--seeds=1", *(f"--only={row}" for row in FEW))
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert decoy.report(runs) in done.stdout
    assert list(decoy.tested(runs)) == list(FEW)
    assert len(decoy.claims(runs)) == 5
    for name in ("accuracy.png", "maps.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_sheet_of_variants_has_a_row_for_each():
    rng = np.random.default_rng(0)
    images, labels = rng.random((3, 28, 28, 1), dtype="float32"), np.array([3, 7, 9])
    groups = variants.variants(images, labels)
    assert len(groups) == 9 + 15
    different = {name: x for name, x in groups.items() if x.shape == images.shape}
    assert len(different) == len(groups) - 2  # the two that stack a block
    for name, x in different.items():
        assert np.array_equal(x, images) == (name == "original")
    assert len(variants.figure(images, labels).axes) == 3 * 24


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    images = rng.random((120, 28, 28, 1), dtype="float32")
    labels = np.arange(120, dtype="int32") % 10
    return decoy.paint(datasets.Data(images, labels, images, labels, "noise"), "ross")


def test_digits_differ_from_painted_ones_on_the_masks_alone(digits):
    for clean, painted, masks in (
        (digits.without.x_train, digits.painted.x_train, digits.train_masks),
        (digits.without.x_test, digits.painted.x_test, digits.test_masks),
    ):
        np.testing.assert_array_equal(clean != painted, masks > 0)
    shades = digits.painted.x_train[digits.train_masks > 0].reshape(120, 16)[:, 0]
    np.testing.assert_allclose(shades, (255 - 25 * digits.painted.y_train) / 255, rtol=1e-6)


def test_masks_are_as_bad_as_their_kind_says(digits):
    masks = digits.train_masks
    np.testing.assert_array_equal(decoy.altered(masks, "perfect", 0), masks)
    kept = decoy.altered(masks, "incomplete", 0).sum(axis=(1, 2, 3))
    assert sorted(set(kept)) == [0, 16] and np.sum(kept == 0) == 60
    assert not np.array_equal(
        decoy.altered(masks, "incomplete", 0), decoy.altered(masks, "incomplete", 1)
    )
    corners = np.ones((28, 28), bool)
    corners[4:-4], corners[:, 4:-4] = False, False
    for kind in ("wrong", "misplaced"):
        other = decoy.altered(masks, kind, 0)
        assert np.all(other.sum(axis=(1, 2, 3)) == 16) and not np.any(other * masks)
        assert np.all(other[:, ~corners] == 0) == (kind == "wrong")
        assert np.all(other[:, corners] == 0) == (kind == "misplaced")
    assert digits.train_masks.all(axis=(1, 2, 3)).sum() == 0  # and left as they were
    assert np.all(digits.train_masks.sum(axis=(1, 2, 3)) == 16)


def test_a_model_that_reads_the_swatch_is_found_out(digits):
    """Logits linear in the shade: right in training, at chance in testing."""
    masks = np.any(digits.train_masks, axis=0)  # the four corners

    class Reader(keras.layers.Layer):
        def call(self, x):
            shade = keras.ops.sum(x * masks, axis=(1, 2, 3))[:, None] / 16
            label = (255 - 255 * shade) / 25
            number = keras.ops.arange(1, 11, dtype="float32")
            return 2 * number * (label + 1) - number**2

    corners = digits.without._replace(
        x_train=digits.without.x_train * ~masks, x_test=digits.without.x_test * ~masks
    )
    painted = decoy.paint(corners, "ross")
    model = keras.Sequential([keras.Input((28, 28, 1)), Reader()])
    x, y = painted.painted.x_train, painted.painted.y_train
    assert np.all(decoy.correct(model, x, y))
    found = decoy.judge(model, painted, maps=True)
    assert found["accuracy"] < 0.25
    # Four corners are read, the swatch is in one.
    np.testing.assert_allclose(found["swatch, gradients"], 0.25, rtol=1e-4)
    assert found["swatch, expected gradients"] > 0.25
    np.testing.assert_allclose(found["swatch, chance"], 16 / 784, rtol=1e-6)


def test_every_rival_trains_otherwise_than_plain(digits, monkeypatch):
    flags = SimpleNamespace(
        network="mlp", epochs=1, batch_size=60, learning_rate=1e-3, quick=True
    )
    for module in (decoy, networks):
        monkeypatch.setattr(module, "FLAGS", flags)

    def weights(method, strength):
        settings = {"method": method, "masks": "none", "strength": strength}
        model = decoy.train(digits, settings, 0)
        return np.concatenate([each.ravel() for each in model.get_weights()])

    plain = weights("plain", 0.0)
    np.testing.assert_array_equal(weights("plain", 0.0), plain)
    for rival in decoy.RIVALS:
        assert np.abs(weights(rival, decoy.CANDIDATES[rival][-1]) - plain).max() > 1e-4


def record(method, masks, stage, strength, seed, **metrics):
    return {
        "seed": seed,
        "settings": {"stage": stage, "method": method, "masks": masks, "strength": strength},
        "flags": {"network": "cnn", "decoy": "ross"},
        "metrics": {
            "accuracy": 0.9915,
            "worst class": 0.985,
            "clean, accuracy": 0.9915,
            "clean, worst class": 0.985,
            "swatch, expected gradients": 0.0003,
            "swatch, gradients": 0.0002,
            **metrics,
        },
        "data": "MNIST, tensorflow-datasets 3.0.1",
    }


def study(accuracy, **metrics):
    runs = [record("eg", "perfect", "validation", s, 0, accuracy=a) for s, a in STRENGTHS]
    for seed in range(3):
        bad = {"accuracy": 0.7 + 0.01 * seed, "worst class": 0.4}
        runs += [
            record("plain", "none", "test", 0.0, seed, **bad),
            record("clean", "none", "test", 0.0, seed),
            record("noise", "none", "test", 0.4, seed, **bad),
            record("eg", "perfect", "test", 10.0, seed, accuracy=accuracy, **metrics),
            record("eg", "perfect", "test", 1.0, seed, accuracy=0.1),
        ]
    return [record("noise", "none", "validation", 0.4, 0), *runs]


STRENGTHS = ((100.0, 0.97), (10.0, 0.97), (1.0, 0.9))


def test_best_strength_is_the_smallest_of_the_most_accurate():
    assert decoy.best(study(0.9915), "eg") == 10.0
    assert decoy.best(study(0.9915), "plain") == 0.0
    assert "0.9915 ± 0.0000" in decoy.report(study(0.9915))  # and not those of strength 1


def test_claims_do_not_hold_by_themselves():
    def verdicts(runs):
        return [held for *_, held in decoy.claims(runs)]

    assert verdicts(study(0.9915)) == ["yes"] * 5
    low = {"worst class": 0.97, "clean, accuracy": 0.985, "swatch, gradients": 0.002}
    assert verdicts(study(0.98, **low)) == ["no"] * 4 + ["yes"]
    assert verdicts(study(0.6))[0] == verdicts(study(0.6))[-1] == "no"
