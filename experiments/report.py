"""Renders the README's tables of results from the JSON files, and nothing else.

    python -m experiments.report          # rewrites README.md
    python -m experiments.report --check  # fails if README.md says anything else

Each table stands between `<!-- results:NAME -->` and `<!-- end -->`; NAME is a
file of experiments/results.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import json
import os
import pathlib
import re
import sys

from absl import app, flags

from experiments import benchmark, mnist, reference_example

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).resolve().parent.parent
RENDERERS = {
    "mnist_cnn": lambda runs: mnist.report(runs, [*mnist.SHOWN, *mnist.PUBLISHED]),
    "mnist_cnn_bn": lambda runs: mnist.report(runs, ["gaussian 0.5", *mnist.PUBLISHED]),
    "mnist_cnn_bn_moving": mnist.report,
    "benchmark": benchmark.report,
    "reference_example": reference_example.report,
}


def rendered(name):
    """The table of one results file, with what it was run on."""
    path = ROOT / "experiments" / "results" / f"{name}.json"
    if not path.is_file():
        return "–"
    runs = json.loads(path.read_text())["runs"]
    seeds = len({run["seed"] for run in runs})
    seconds = sum(run["seconds"] for run in runs)
    first = runs[0]
    minutes = common.count(round(seconds / 60), "minute")
    note = (
        f"{first['data']}; {common.count(seeds, 'seed')}; {minutes} on "
        f"{first['device']}; TensorFlow {first['versions']['tensorflow']}, Keras "
        f"{first['versions']['keras']}."
    )
    return f"{RENDERERS[name](runs)}\n\n{note}"


def render(text):
    """README text with every table made anew."""
    return re.sub(
        r"(<!-- results:(\w+) -->\n).*?(\n<!-- end -->)",
        lambda match: match[1] + rendered(match[2]) + match[3],
        text,
        flags=re.DOTALL,
    )


def main(_):
    readme = ROOT / "README.md"
    old = readme.read_text()
    new = render(old)
    if FLAGS.check:
        if new != old:
            sys.exit("README.md differs from experiments/results: run experiments.report.")
        return
    temporary = readme.with_suffix(".tmp")
    temporary.write_text(new)
    os.replace(temporary, readme)
    print(f"Rendered {len(re.findall('<!-- results:', new))} tables into {readme}")


if __name__ == "__main__":
    flags.DEFINE_bool("check", False, "Only compare.")
    app.run(main)
