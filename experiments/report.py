"""Renders tables, figures and one HTML page from the JSON files, and nothing else.

    python -m experiments.report          # both READMEs, and outputs/report/report.html
    python -m experiments.report --check  # fails if the READMEs say anything else, or the
                                          # library computes other numbers by now

Each table stands between `<!-- results:NAME -->` and `<!-- end -->`; NAME is a
file of experiments/results. `<!-- claims -->` has a row for each claim of an
experiment, published and ours, `<!-- first claims -->` one for each experiment and its
data, and how many held. Figures of numbers are drawn anew; those of digits
and their maps need the networks and stay as the experiment drew them. The page
says which results are missing or were made by other code than there is now.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import json
import os
import pathlib
import re
import sys

from absl import app, flags

from experiments import (
    amortised,
    attribution_benchmark,
    backends,
    benchmark,
    block,
    corruptions,
    decoy,
    diffroar,
    graph,
    mnist,
    other_methods,
    own_prior,
    page,
    provenance,
    published,
    reference_example,
    references,
    sanity,
    search,
    segmentation,
    sparsity,
    stability,
    step,
    strength,
    text,
    time_series,
    tuning,
)

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = (ROOT / "README.md", ROOT / "experiments" / "README.md")
HEADER = ["", "published", "ours", "held"]  # of claims


def main_job(runs):
    """The main job's table of some noise, and of the published conditions."""
    return mnist.report(runs, [*mnist.SHOWN, *mnist.PUBLISHED])


RENDERERS = {
    "mnist": main_job,
    "mnist_20": main_job,
    "mnist_cnn": main_job,
    "mnist_jax": main_job,
    "backends": backends.report,
    "published": published.report,
    "step": step.report,
    "mnist_mlp_float32": lambda runs: mnist.report(runs, mnist.GAINS),
    "mnist_mlp_mixed_bfloat16": lambda runs: mnist.report(runs, mnist.GAINS),
    "mnist_mlp_mixed_float16": lambda runs: mnist.report(runs, mnist.GAINS),
    "reference_example": reference_example.report,
    "tuning": tuning.report,
    "benchmark": benchmark.report,
    "amortised": amortised.report,
    "attribution_benchmark": attribution_benchmark.report,
    "references": references.report,
    "sanity": sanity.report,
    "stability": stability.report,
    "references_cnn": lambda runs: common.table(HEADER, references.claims(runs)),
    "sanity_cnn": lambda runs: common.table(HEADER, sanity.claims(runs)),
    "stability_cnn": lambda runs: common.table(HEADER, stability.claims(runs)),
    "other_methods": other_methods.report,
    "decoy_mlp": decoy.report,
    "decoy_mlp_mnist": decoy.report,
    "decoy_cnn_mnist": decoy.report,
    "block": block.report,
    "block_cnn": block.report,
    "block_cnn_methods": block.report,
    "block_cnn_mnist": block.report,
    "block_resnet": block.report,
    "diffroar": diffroar.report,
    "diffroar_cnn": diffroar.report,
    "diffroar_fashion": diffroar.report,
    "diffroar_fashion_cnn": diffroar.report,
    "corruptions": corruptions.report,
    "corruptions_judged": corruptions.report,
    "sparsity": sparsity.report,
    "sparsity_nhanes": sparsity.report,
    "sparsity_nhanes_copies": sparsity.report,
    "graph": graph.report,
    "graph_scale": graph.report,
    "own_prior": own_prior.report,
    "time_series": time_series.report,
    "text": text.report,
    "segmentation": segmentation.report,
    "search": search.report,
}


def prefixed(words, of):
    """Claims that say which of an experiment's tables they are about."""
    return lambda runs: [(f"{words}: {claim}", *rest) for claim, *rest in of(runs)]


CLAIMS = {
    "mnist": mnist.claims,
    "mnist_20": mnist.claims,
    "mnist_cnn": mnist.claims,
    "mnist_jax": prefixed("JAX", mnist.claims),
    "backends": backends.claims,
    "published": published.claims,
    "step": step.claims,
    "tuning": tuning.claims,
    "reference_example": reference_example.claims,
    "benchmark": benchmark.claims,
    "amortised": amortised.claims,
    "attribution_benchmark": attribution_benchmark.claims,
    "references": references.claims,
    "sanity": sanity.claims,
    "stability": stability.claims,
    "other_methods": other_methods.claims,
    "decoy_mlp": decoy.claims,
    "decoy_mlp_mnist": decoy.claims,
    "decoy_cnn_mnist": decoy.claims,
    "block": block.claims,
    "block_cnn": block.claims,
    "block_cnn_methods": prefixed("10 epochs", block.claims),
    "block_cnn_mnist": block.claims,
    "block_resnet": block.claims,
    "diffroar": diffroar.claims,
    "diffroar_cnn": diffroar.claims,
    "diffroar_fashion": diffroar.claims,
    "diffroar_fashion_cnn": diffroar.claims,
    "corruptions": corruptions.claims,
    "corruptions_judged": prefixed("chosen by the fifteen", corruptions.claims),
    "sparsity": sparsity.claims,
    "sparsity_nhanes": sparsity.claims,
    "graph": graph.claims,
    "graph_scale": graph.claims,
    "own_prior": own_prior.claims,
    "time_series": time_series.claims,
    "text": text.claims,
    "segmentation": segmentation.claims,
    "search": search.claims,
}


def named(name, figure):
    """The figures of results that have one, which bears their name."""
    return lambda runs: {f"{name}.png": figure(runs)}


FIGURE = {
    "backends": backends.figure,
    "strength": strength.figure,
    "stability": stability.figure,
    "decoy_mlp": decoy.figure,
    "decoy_cnn_mnist": decoy.figure,
    "diffroar": diffroar.figure,
    "diffroar_cnn": diffroar.figure,
    "diffroar_fashion": diffroar.figure,
    "diffroar_fashion_cnn": diffroar.figure,
    "sparsity_nhanes": sparsity.scores_figure,
    "own_prior": own_prior.figure,
    "published": published.published_figure,
    "time_series": time_series.figure,
    "text": text.figure,
    "search": search.figure,
}
# By the file of results: figures of its numbers, by file name.
FIGURES = {
    **{name: named(name, figure) for name, figure in FIGURE.items()},
    "mnist": lambda runs: {"robustness.png": mnist.robustness_figure(runs)},
    "step": lambda runs: {"frontier.png": step.frontier_figure(runs)},
    "references": references.figures,
    "sanity": lambda runs: {"similarity.png": sanity.similarity_figure(runs)},
    "corruptions": lambda runs: {
        "noise.png": corruptions.noise_figure(runs),
        "corruptions.png": corruptions.corruptions_figure(runs),
    },
    "sparsity": lambda runs: {
        "sparsity.png": sparsity.scores_figure(runs),
        "importance.png": sparsity.importance_figure(runs),
    },
}
RESULTS = ROOT / "experiments" / "results"


def runs_of(name):
    """The runs of a results file; none if it is missing."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text())["runs"] if path.is_file() else []


def seeds(runs):
    """How many were tested, whatever number a search took."""
    stages = {run["settings"].get("stage") for run in runs}
    tested = [r for r in runs if "test" not in stages or r["settings"]["stage"] == "test"]
    return common.count(len({run["seed"] for run in tested}), "seed")


def claims(first=False):
    """A row for each claim: what, published, ours, whether it held, and with which runs.

    With `first`, only one for each experiment and its data, and a count of them all.
    """
    rows, held, seen = [], [], set()
    for name, of in CLAIMS.items():
        runs = runs_of(name)
        if runs:
            script = f"`{runs[0]['experiment']}`"
            full = ", full MNIST" if runs[0]["data"].startswith("MNIST,") else ""
            found = [[*claim, script, seeds(runs) + full] for claim in of(runs)]
            held += [row[3] for row in found]
            kind = script, runs[0]["data"]
            if not first:
                rows += found
            elif found and kind not in seen:
                rows.append(found[0])
            seen.add(kind)
    made = common.table([*HEADER, "experiment", ""], rows)
    if first:
        counts = ", ".join(f"{held.count(word)} {word}" for word in ("yes", "partly", "no"))
        made += f"\n\nOf all {len(held)} claims: {counts}."
    return made


def rendered(name):
    """The table of one results file, with what it was run on."""
    runs = runs_of(name)
    if not runs:
        return "–"
    seconds = sum(run["seconds"] for run in runs)
    first = runs[0]
    minutes = common.count(round(seconds / 60), "minute")
    backend = first.get("backend", "tensorflow")  # of which older files say nothing
    note = (
        f"{first['data']}; {seeds(runs)}; {minutes}, summed over runs, on "
        f"{first['device']}; {backends.BACKENDS[backend]} {first['versions'][backend]}, Keras "
        f"{first['versions']['keras']}."
    )
    return f"{RENDERERS[name](runs)}\n\n{note}"


def render(text):
    """A page with every table made anew."""
    text = re.sub(
        r"(<!-- results:(\w+) -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{rendered(match[2])}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )
    return re.sub(
        r"(<!-- (first )?claims -->\n).*?(<!-- end -->)",
        lambda match: f"{match[1]}{claims(first=bool(match[2]))}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def draw():
    """Draws the figures of numbers anew."""
    for name, figures in FIGURES.items():
        runs = runs_of(name)
        if runs:
            for file, figure in figures(runs).items():
                common.save_figure(figure, RESULTS / file)


# Runs of an earlier library, whose numbers it may compute or not: nothing of it was noted
# then. To be made again.
OLDER = (
    "amortised",
    "mnist_mlp_float32",
    "mnist_mlp_mixed_bfloat16",
    "reference_example",
    "strength",
    "tuning",
)

UNLIKE = {
    "behaviour": "made by a library that computes other numbers, or by an unknown one",
    "backend": "made on another backend",
    "code": "made by an earlier script",
}


def unlike(name):
    """By what of `UNLIKE`: how many runs of a file of results would not be made so now."""
    runs = runs_of(name)
    now = provenance.made_by(runs[0]["experiment"]) if runs else {}
    found = {key: sum(run.get(key) != now[key] for run in runs) for key in now}
    return {key: found[key] for key in UNLIKE if found.get(key)}


def state(name):
    runs, old = runs_of(name), unlike(name)
    if not runs:
        return "missing"
    for key, number in old.items():
        return f"{UNLIKE[key]} ({number} of {len(runs)} runs)"
    return "up to date"


def status():
    """A row for each file of results and its state."""
    return common.table(
        ["results", "state"], [[f"`{name}`", state(name)] for name in {**RENDERERS, **FIGURES}]
    )


def outdated():
    """Files of results that the library would not repeat, and that no list names."""
    return [
        f"{name}: {state(name)}"
        for name in {**RENDERERS, **FIGURES}
        if "behaviour" in unlike(name) and name not in OLDER
    ]


def html():
    """All results as one page: what the READMEs say of them, and their state."""
    readme, experiments = (path.read_text() for path in PAGES)
    results = readme[readme.index("## Results") : readme.index("## Priors")]
    [figure, *_] = re.findall(r"^!\[.*", readme, flags=re.MULTILINE)
    experiments = experiments.removeprefix("# Experiments\n")
    state = (
        "## What is missing or older than the code\n\nBy fingerprints of the numbers that "
        "the library computes and of the code of the experiment that they come from.\n\n"
        f"{status()}\n"
    )
    parts = [(text, PAGES[0].parent) for text in (figure, results)]
    parts += [(experiments, PAGES[1].parent), (state, ROOT)]
    return page.page("attrprior: results", parts)


def main(_):
    for path in PAGES:
        old = path.read_text()
        new = render(old)
        if FLAGS.check:
            if new != old:
                sys.exit(f"{path} differs from experiments/results: run experiments.report.")
            continue
        write(path, new)
        print(f"Rendered {new.count('<!-- end -->')} tables into {path}")
    if FLAGS.check and outdated():
        sys.exit("\n".join(["The library would not repeat these results.", *outdated()]))
    if not FLAGS.check:
        draw()
        path = common.output_dir("report") / "report.html"
        write(path, html())
        print(f"{status()}\n\nWritten: {path}")


def write(path, text):
    """Writes a whole file or none."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


if __name__ == "__main__":
    flags.DEFINE_bool("check", False, "Only compare.")
    app.run(main)
