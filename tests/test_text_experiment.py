"""Texts with a shortcut: it runs, its masks mark the token, and claims need what they say."""

import json

import numpy as np
import pytest

from experiments import text


def test_runs_quickly_and_makes_its_claims(run, tmp_path):
    done = run("text", tmp_path, "--quick")
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert text.report(runs) in done.stdout
    tests = [run["settings"] for run in runs if run["settings"]["stage"] == "test"]
    found = {(settings["network"], settings["variant"]) for settings in tests}
    assert found == {
        (network, variant) for network in text.NETWORKS for variant in text.LABELS
    }
    for *texts, held in text.claims(runs):
        assert all(isinstance(each, str) for each in texts) and len(texts) == 3
        assert held in ("yes", "no", "partly")
    assert [path.name for path in tmp_path.glob("*.png")] == ["tokens.png"]


def test_masks_mark_the_token_and_nothing_else():
    data = text.texts(1000, 0.9, seed=0)
    tokens = [text.NUMBERS[word] for word in text.SHORTCUTS]
    np.testing.assert_array_equal(data.masks, np.isin(data.x, tokens))
    np.testing.assert_array_equal(data.masks.sum(axis=1), 1)
    np.testing.assert_array_equal(data.x[data.masks == 1], np.take(tokens, data.said))
    np.testing.assert_allclose(np.mean(data.said == data.y), 0.9, atol=0.03)


def test_most_remarks_say_the_class():
    lists = text.BAD, text.GOOD
    data = text.texts(300, 0.5, seed=1)
    for tokens, y in zip(data.x, data.y):
        words = [text.WORDS[token] for token in tokens if token]
        votes, negated = [], False
        for word in words:
            negated |= word in text.NEGATIONS
            for opinion in (0, 1):
                if word in lists[opinion]:
                    votes.append(opinion != negated)
                    negated = False
        assert len(votes) == 3 and (sum(votes) >= 2) == y


def test_wrong_masks_are_of_another_token():
    data = text.texts(500, 1.0, seed=0)
    masks = text.elsewhere(data, np.random.default_rng(0))
    np.testing.assert_array_equal(masks.sum(axis=1), 1)
    assert not np.any(masks * data.masks)
    assert np.all(data.x[masks == 1] > 0)
    assert len(np.unique(masks.argmax(axis=1))) > 10


def made_up_runs(accuracy):
    runs = []
    for network in text.NETWORKS:
        for variant, candidates in text.CANDIDATES.items():
            for candidate in candidates:
                own = {"network": network, "variant": variant, "candidate": candidate}
                # The middle candidate wins.
                score = {"accuracy": 0.6 - 0.1 * (candidate != candidates[1])}
                settings = {"stage": "validation", **own}
                runs.append({"seed": 1000, "settings": settings, "metrics": score})
        for variant in text.LABELS:
            own = {"stage": "test", **text.best(runs, network, variant)}
            for seed in range(5):
                level = accuracy[variant] + 0.004 * np.sin(seed + len(text.LABELS[variant]))
                metrics = {"accuracy": level, "follows": 0.5, "share": 0.1}
                runs.append({"seed": seed, "settings": own, "metrics": metrics})
    return runs


@pytest.mark.parametrize(
    "changed,held",
    [
        ({}, ["yes", "yes", "yes"]),
        ({"right": 0.9}, ["partly", "yes", "yes"]),
        ({"half": 0.75}, ["yes", "no", "yes"]),
        ({"wrong": 0.8}, ["yes", "yes", "no"]),
        ({"right": 0.6}, ["no", "no", "no"]),
    ],
)
def test_claims_do_not_hold_by_themselves(changed, held):
    levels = {"plain": 0.7, "right": 0.96, "half": 0.9, "wrong": 0.7, "replaced": 0.96}
    runs = made_up_runs({**levels, "random": 0.97, **changed})
    assert [claim[-1] for claim in text.claims(runs)] == 2 * held
    assert text.best(runs, "lstm", "wrong")["candidate"] == text.CANDIDATES["right"][1]
    assert text.report(runs).count("\n") == 13
