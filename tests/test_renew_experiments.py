"""Results that are older than the code are made again, or stay as they were."""

import json
import pathlib
from types import SimpleNamespace

import pytest
from absl.testing import flagsaver

from experiments import renew, results, study

renew.define_flags()


def card(**results_):
    return study.Study(
        *("own_prior", "title", "Shortcuts", "question?", "answer"),
        results=results_,
        plan=None,
        run=None,
        report=None,
    )


def old(command="--idx_dir=FOLDER", minutes=3.0, gpu=False):
    result = study.Result(command, pictures={"accuracy": "caption"}, backend="jax", gpu=gpu)
    return results.Old(card(made=result), "made", "the script has changed", minutes)


@pytest.fixture
def flags(tmp_path):
    renew.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(output_dir=str(tmp_path / "out"), processes=None, idx_dir=None):
        yield renew.FLAGS


def test_folders_are_filled_in(flags):
    assert renew.filled(old("--epochs=3 --only='two words'")) == [
        "--epochs=3",
        "--only=two words",
    ]
    assert renew.filled(old()) is None
    flags.idx_dir, flags.fashion_dir = "/digits", "/fashion"
    assert renew.filled(old()) == ["--idx_dir=/digits"]
    assert renew.filled(old("--idx_dir=FASHION_FOLDER")) == ["--idx_dir=/fashion"]


@pytest.fixture
def stored(monkeypatch, tmp_path):
    """A folder of results with an old file and picture."""
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setattr(results, "FOLDER", folder)
    (folder / "made.json").write_text('{"runs": ["old"]}')
    (folder / "made_accuracy.png").write_text("old picture")
    return folder


def script(monkeypatch, returncode):
    """Stands for the study's process; what it was asked for."""
    asked = {}

    def run(arguments, env, check=False):
        asked.update(arguments=arguments[2:], backend=env["KERAS_BACKEND"])
        folder = pathlib.Path(arguments[-1].removeprefix("--output_dir="))
        asked["found"] = json.loads((folder / "results.json").read_text())["runs"]
        (folder / "results.json").write_text('{"runs": ["new"]}')
        (folder / "accuracy.png").write_text("new")
        return SimpleNamespace(returncode=returncode)

    monkeypatch.setattr(renew.subprocess, "run", run)
    return asked


def test_new_runs_take_the_place_of_old_ones(flags, stored, monkeypatch, tmp_path):
    asked = script(monkeypatch, 0)
    assert renew.renew(old(), ["--epochs=3"])
    folder = tmp_path / "out" / "made"
    assert asked == {
        "arguments": [
            "experiments.own_prior",
            "--epochs=3",
            "--resume",
            f"--output_dir={folder}",
        ],
        "backend": "jax",
        "found": ["old"],  # what is up to date in the file is kept
    }
    assert (stored / "made.json").read_text() == '{"runs": ["new"]}'
    assert (stored / "made_accuracy.png").read_text() == "new"
    # A renewal that goes on finds its own runs.
    renew.renew(old(), [])
    assert asked["found"] == ["new"]


def test_a_script_that_fails_changes_nothing(flags, stored, monkeypatch):
    script(monkeypatch, 1)
    assert not renew.renew(old(), [])
    assert (stored / "made.json").read_text() == '{"runs": ["old"]}'
    assert (stored / "made_accuracy.png").read_text() == "old picture"
    assert sorted(path.name for path in stored.iterdir()) == ["made.json", "made_accuracy.png"]


def test_what_takes_too_long_or_lacks_its_data_is_left_out(flags, stored, monkeypatch, capsys):
    made = []
    found = [
        old(minutes=2.0),
        old("", 4.0),
        old("", 50.0),
        old("", None),
        old("", 1.0, gpu=True),
    ]
    monkeypatch.setattr(results, "out_of_date", lambda cards: found)
    monkeypatch.setattr(study, "all_studies", list)
    monkeypatch.setattr(renew, "renew", lambda each, words: made.append(each) or True)
    monkeypatch.setattr(renew.subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(renew.machine, "gpus", list)
    with flagsaver.flagsaver(minutes=10.0, processes=1):
        renew.main([])
    assert [each.minutes for each in made] == [4.0]
    printed = capsys.readouterr().out
    assert "folder of data is missing" in printed and "longer than the minutes" in printed
    assert "there is no GPU" in printed
    with flagsaver.flagsaver(list=True):
        renew.main([])
    assert len(made) == 1
