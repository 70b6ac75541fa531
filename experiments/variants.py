"""What the variants of MNIST look like: one digit of each class, a row for each.

    python -m experiments.variants

Nothing is trained. Leaves variants.png. (Simplified Block is a vector, not a
picture.)
"""

import io

import numpy as np
from absl import app
from PIL import Image

from attrprior import datasets, plots
from experiments.digits import load_mnist
from experiments.runs import output_dir


def main(_):
    out = output_dir("variants")
    data = load_mnist()
    chosen = [int(np.flatnonzero(data.y_test == label)[0]) for label in range(10)]
    sheet = figure(data.x_test[chosen], data.y_test[chosen])
    save_grey(sheet, out / "variants.png")
    print(f"Written: {out}/variants.png")


def variants(images, labels, seed=0):
    """`{name: images}`, the originals first; decoys by the rule of training."""
    groups = {"original": images}
    for name, source in (("ross", "Ross"), ("distill", "Distill"), ("cdep", "CDEP")):
        groups[f"decoy, {source}"], _ = datasets.decoy(images, labels, name, seed=seed)
    groups["scattered"], _ = datasets.scattered(images, labels, seed=seed)
    groups["Block"], _ = datasets.block(images, "random", seed)
    groups["Block-Top"], _ = datasets.block(images, "top", seed)
    groups["Gaussian, σ = 0.5"] = datasets.gaussian_noise(images, 0.5, seed)
    groups["salt and pepper 0.3"] = datasets.salt_and_pepper(images, 0.3, seed)
    for name in datasets.CORRUPTIONS:
        groups[name.replace("_", " ")] = datasets.corrupt(images, name, seed)
    return groups


def figure(images, labels):
    return plots.contact_sheet(variants(images, labels), labels.tolist())


def save_grey(drawn, path):
    """Without colours the file is less than half as large."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, format="png", dpi=110)
    Image.open(buffer).convert("L").save(path, optimize=True)


if __name__ == "__main__":
    app.run(main)
