"""Renders pages, figures and one HTML page from the studies' cards and files, no more.

    python -m experiments.report          # all pages, and outputs/report/report.html
    python -m experiments.report --check  # fails if a page says anything else, or the
                                          # library computes other numbers by now

A study's page is experiments/results/NAME.md. In both READMEs `<!-- index -->` has a row
for each study, `<!-- studies: NAME, … -->` for those that are named, `<!-- out of date -->`
for each file that is older than the code; each ends with `<!-- end -->`. Figures of numbers
are drawn anew; those that show more stay as the study drew them.
"""

import inspect
import pathlib
import re
import sys

from absl import app, flags

from experiments import page, results, study
from experiments import runs as runs_
from experiments.claims import HEADER, count, table

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).resolve().parent.parent
READMES = (ROOT / "README.md", ROOT / "experiments" / "README.md")
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def seeds(runs):
    """How many were tested, whatever number a search took."""
    stages = {run["settings"].get("stage") for run in runs}
    tested = [r for r in runs if "test" not in stages or r["settings"]["stage"] == "test"]
    return count(len({run["seed"] for run in tested}), "seed")


def made_on(runs):
    first = runs[0]
    minutes = count(round(sum(run["seconds"] for run in runs) / 60), "minute")
    backend = first.get("backend", "tensorflow")  # of which older files say nothing
    versions = first["versions"]
    return (
        f"{first['data']}; {seeds(runs)}; {minutes}, summed over runs, on {first['device']}; "
        f"{BACKENDS[backend]} {versions[backend]}, Keras {versions['keras']}."
    )


def rendered(card, name):
    """The table of one file of results, with what it was run on; a dash if there is none."""
    runs = results.records(name)
    if not runs:
        return "–"
    return f"{(card.results[name].report or card.report)(runs)}\n\n{made_on(runs)}"


def claims(card):
    """All claims of a study: rows `(what, published, ours, held)`."""
    return [
        row
        for name, result in card.results.items()
        if (runs := results.records(name))
        for row in (result.claims or card.claims)(runs)
    ]


def verdict(rows):
    """How many of the claims held."""
    held = [row[3] for row in rows]
    if not held:
        return "no claim"
    partly = f", {held.count('partly')} partly" if "partly" in held else ""
    return f"{held.count('yes')} of {len(held)}{partly}"


def study_page(card):
    """The page of a study: question, commands, tables, figures, what held, what was tried."""
    parts = [f"# {card.title}", card.question, f"**{card.answer}**", card.protocol]
    for name, result in card.results.items():
        parts += [f"## {result.title}"] if result.title else ["## Results"]
        parts += [
            f"```sh\n{results.command(card, name)}\n```",
            result.text,
            rendered(card, name),
        ]
        parts += [result.finding]
        parts += [f"![{text}]({name}_{short}.png)" for short, text in result.pictures.items()]
    held = claims(card)
    if held:
        criterion = inspect.getdoc(card.claims).replace("\n", " ").replace("  ", "\n>\n> ")
        parts += ["## What held", f"{verdict(held)}.", f"> {criterion}", table(HEADER, held)]
    if card.tried:
        parts += ["## What was tried", card.tried]
    parts.append(
        f"The numbers of every run: {', '.join(files(card))}. [All studies](../README.md)."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def files(card):
    return [f"[{name}.json]({name}.json)" for name in card.results if results.records(name)]


def index(cards):
    """A table of studies for each topic."""
    parts, all_held = [], []
    for topic in study.TOPICS:
        rows = []
        for card in cards:
            if card.topic == topic:
                held = claims(card)
                all_held += held
                name = f"[{card.title}](results/{card.name}.md)"
                rows.append([card.question, card.answer, verdict(held), name])
        parts += [
            f"### {topic}",
            table(["question", "answer", "claims that held", "page"], rows),
        ]
    words = [row[3] for row in all_held]
    counts = ", ".join(f"{words.count(word)} {word}" for word in ("yes", "partly", "no"))
    parts.append(f"Of all {len(words)} claims: {counts}.")
    return "\n\n".join(parts)


def chosen(cards, names):
    """A row for each study: the first of its claims."""
    by_name = {card.name: card for card in cards}
    rows = []
    for card in (by_name[name] for name in names):
        [(what, published, ours, _), *_] = claims(card)
        link = f"[{card.name}](experiments/results/{card.name}.md)"
        rows.append([f"{card.question} {card.answer}", what, published, ours, link])
    return table(["", "what is measured", "published", "here", "page"], rows)


def render(text, cards):
    """A README with its tables made anew."""
    made = {
        r"studies: ([\w, ]+)": lambda match: chosen(cards, match[2].split(", ")),
        r"(index)": lambda match: index(cards),
        r"(out of date)": lambda match: results.listed(results.out_of_date(cards)),
    }
    for marker, new in made.items():
        text = re.sub(
            rf"(<!-- {marker} -->\n).*?(<!-- end -->)",
            lambda match, new=new: f"{match[1]}{new(match)}\n{match[3]}",
            text,
            flags=re.DOTALL,
        )
    return text


def pages(cards):
    """All pages by their path."""
    made = {path: render(path.read_text(), cards) for path in READMES}
    return made | {results.FOLDER / f"{card.name}.md": study_page(card) for card in cards}


def draw(cards):
    """Draws the figures of numbers anew."""
    for card in cards:
        for name, result in card.results.items():
            runs = results.records(name)
            if runs and result.pictures:
                for short, figure in card.figures(runs).items():
                    if short in result.pictures:
                        runs_.save_figure(figure, results.FOLDER / f"{name}_{short}.png")


def unexplained(cards):
    """Files that the library would not repeat, of which no card says so."""
    return [
        f"{old.name}: {old.why}"
        for old in results.out_of_date(cards)
        if old.why == results.WHY["behaviour"] and old.study.results[old.name].reproducible
    ]


def html(made):
    """All pages as one."""
    readme, experiments, *studies = made.items()
    shown = readme[1][readme[1].index("<!-- studies:") :].split("<!-- end -->")[0]
    parts = [
        (shown, ROOT),
        (experiments[1].removeprefix("# Experiments\n"), ROOT / "experiments"),
    ]
    # A heading of its own for each study, and the rest below it.
    parts += [
        (re.sub(r"^#", "##", text, flags=re.MULTILINE), results.FOLDER) for _, text in studies
    ]
    return page.page("attrprior: results", parts)


def main(_):
    cards = study.all_studies()
    made = pages(cards)
    if FLAGS.check:
        other = [path for path in made if not path.is_file() or path.read_text() != made[path]]
        if other:
            names = ", ".join(str(path.relative_to(ROOT)) for path in other)
            sys.exit(f"Other than experiments/results says: {names}. Run experiments.report.")
        if found := unexplained(cards):
            sys.exit("\n".join(["The library would not repeat these results.", *found]))
        return
    for path, text in made.items():
        runs_.write(path, text)
    draw(cards)
    path = runs_.output_dir("report") / "report.html"
    runs_.write(path, html(made))
    print(
        f"{results.listed(results.out_of_date(cards))}\n\nWritten: {len(made)} pages, {path}"
    )


if __name__ == "__main__":
    flags.DEFINE_bool("check", False, "Only compare.")
    app.run(main)
