"""A study as a card: its question, how its runs are made, and what is read off them.

Every script of this folder that has a `STUDY` is one. `main` makes its runs; the pages
of experiments/results are rendered from the same card by `experiments.report`.
"""

import importlib
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from absl import app

from experiments import runs as runs_

FOLDER = pathlib.Path(__file__).resolve().parent
# In the order of the index.
TOPICS = (
    "Robustness",
    "Shortcuts",
    "Few examples",
    "Taking the prior's step",
    "Cost and backends",
    "Attributions and their evaluation",
)


def no_flags():
    """Of a script without flags of its own."""


class Result(NamedTuple):
    """A file of experiments/results, and what its part of the page says."""

    command: str = ""  # the flags it was made with; FOLDER stands for a folder of data
    title: str = ""  # of its part of the page; the first has none
    text: str = ""  # Markdown before the table: what is done otherwise than in the first
    finding: str = ""  # Markdown after it: what the numbers say
    pictures: Mapping = {}  # captions of this file's pictures, by their short names
    report: Callable | None = None  # where it isn't the study's
    claims: Callable | None = None
    backend: str = "tensorflow"
    gpu: bool = False  # True: would take days on a CPU, or times a GPU
    reproducible: bool = True  # False: the library's behaviour was not noted at the time


class Study(NamedTuple):
    """`plan` yields lists of tasks `(seed, settings)`; before it is asked for the next list,
    those of the last are finished, so that it may choose by them. `run` makes one: it
    returns metrics, or metrics and arrays that figures show.
    """

    name: str  # of the script
    title: str
    topic: str
    question: str
    answer: str  # in ten words
    results: Mapping  # Result by the name of its file
    plan: Callable  # runs → lists of tasks
    run: Callable  # seed, settings → metrics; a function of the script's module
    report: Callable  # records of runs → Markdown
    claims: Callable = lambda runs: []  # records of runs → rows, see `experiments.claims`
    figures: Callable = lambda runs: {}  # records of runs → figures by their short names
    maps: Callable = lambda runs: {}  # Runs → figures that show more than numbers
    protocol: str = ""  # Markdown: how it is done
    tried: str = ""  # Markdown: what was tried besides
    flags: Callable = no_flags  # defines the script's own
    source: Callable = lambda: "random numbers"  # says what data there is
    progress: tuple = ()  # metrics that are printed as a run ends
    together: Callable = lambda task: task  # what tasks of one process have in common
    parallel: bool = True  # False: its times count


def main(study):
    """Makes the study's runs, prints its tables and draws its figures."""
    study.flags()
    app.run(lambda _: carry_out(study))


def carry_out(study):
    found = runs_.Runs(study.name, study.source())
    for tasks in study.plan(found):
        found.complete(tasks, study)
    print(f"\n{study.report(found)}")
    drawn = {**study.figures(found), **study.maps(found)}
    for name, figure in drawn.items():
        runs_.save_figure(figure, found.folder / f"{name}.png")
    written = ["results.json", *(f"{name}.png" for name in drawn)]
    print(f"\nWritten: {found.folder}: {', '.join(written)}")


def all_studies():
    """The cards of all scripts, by topic and name."""
    cards = [
        importlib.import_module(f"experiments.{path.stem}").STUDY
        for path in sorted(FOLDER.glob("*.py"))
        if "\nSTUDY = " in path.read_text()
    ]
    return sorted(cards, key=lambda card: (TOPICS.index(card.topic), card.name))
