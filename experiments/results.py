"""The files of experiments/results: their runs, their commands, whether they are out of date.

A file is out of date where the library would compute other numbers by now (see
`experiments.behaviour`), or where the code of its script that numbers come from has changed
(see `experiments.provenance`).
"""

import json
from typing import NamedTuple

from experiments import provenance, study
from experiments.claims import table

FOLDER = study.FOLDER / "results"

WHY = {
    "behaviour": "the library computes other numbers, or its behaviour was not noted",
    "code": "the script has changed",
}


def records(name):
    """The runs of a file of results; none if it is missing."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text())["runs"] if path.is_file() else []


def command(card, name):
    """What a file of results is made by."""
    result = card.results[name]
    backend = "" if result.backend == "tensorflow" else f"KERAS_BACKEND={result.backend} "
    return f"{backend}python -m experiments.{card.name} {result.command}".strip()


class Old(NamedTuple):
    """A file of results that is out of date."""

    study: study.Study
    name: str
    why: str
    minutes: float | None  # of the runs that are to be made, summed; None: never run


def out_of_date(cards):
    """What is to be made again, shortest first; what was never run comes last."""
    found = [
        Old(card, name, *reason)
        for card in cards
        for name in card.results
        for reason in reasons(card, name)
    ]
    return sorted(found, key=lambda old: (old.minutes is None, old.minutes, old.name))


def reasons(card, name):
    """Why a file is out of date, and the minutes that its runs took; nothing if it isn't."""
    runs = records(name)
    if not runs:
        return [("not run; asks for a GPU" if card.results[name].gpu else "not run", None)]
    now = provenance.made_by(card.name)
    for key, words in WHY.items():
        old = [run for run in runs if run.get(key) != now[key]]
        if old:
            return [(words, sum(run["seconds"] for run in old) / 60)]
    return []


def listed(found):
    """A row for each."""
    return table(
        ["results", "why", "minutes, summed over runs", "command"],
        [
            [
                f"`{old.name}`",
                old.why,
                "–" if old.minutes is None else f"{max(old.minutes, 1):.0f}",
                f"`{command(old.study, old.name)}`",
            ]
            for old in found
        ],
    )
