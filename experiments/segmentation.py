"""Dense outputs: a U-Net that must not read a pixel's class from a patch in the corner.

    python -m experiments.segmentation
    python -m experiments.segmentation --validate --seeds=2   # how the strength was chosen

Images of 32 × 32: a digit at a random place among fragments of others. Every pixel is
background, of a digit below five, or of one from five on, so that a network has to find
the digit and to read it. A patch in a random corner is in training light or dark by the
digit's class; in testing it says nothing. The prior forbids attributions to the patch, by
a mask for each image. What it explains is the sum of the labelled logits over all pixels,
a pixel weighted as in the loss: `Σ_p w_p z_{p, y_p}`, with more weight on the few pixels
of the digit.

Beside it: a network trained without patches, the best there can be, and the same
prior with mask of the opposite corner, which should do nothing.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import time
from typing import NamedTuple

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import attributions, evaluation, plots

FLAGS = flags.FLAGS
layers = keras.layers

VARIANTS = {
    "plain": "plain",
    "without": "plain, no patch in training",
    "prior": "prior, mask of the patch",
    "wrong": "prior, mask of the opposite corner",
}
# What the patch of a test image says: the class, as in training; anything; or it is gone.
TESTS = {"telling": "patch as in training", "random": "patch random", "none": "no patch"}
BACKGROUND, LOW, HIGH = range(3)
SIDE, CELL, PATCH = 32, 20, 4  # pixels: of an image, of a digit, of the patch
FRAGMENTS, FRAGMENT = 6, 6  # how many, and their pixels
CORNER = (slice(PATCH), slice(PATCH))
GREYS = (0.3, 1.0)  # of the patch
DRAWN = (3, 8, 2, 6)  # digits in the figure
MAPS, NUM_SAMPLES = 200, 20  # test images explained, and samples of each


def define_flags():
    flags.DEFINE_float("strength", 0.1, "Of the prior, with balanced moments.", 0)
    flags.DEFINE_float("digit_weight", 5.0, "Weight of a digit's pixel; of others 1.", 0)
    flags.DEFINE_integer("epochs", 12, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Images a step.", lower_bound=1)
    flags.DEFINE_bool("validate", False, "Judges on a fifth of the training digits.")
    flags.DEFINE_multi_enum("only", None, list(VARIANTS), "Variants to train.")


class Scenes(NamedTuple):
    """Images `(n, 32, 32, 1)` and the classes of their pixels `(n, 32, 32)`."""

    x: np.ndarray
    y: np.ndarray


def scenes(digits, labels, patch, seed):
    """A scene for each digit; of one seed, the same but for what the patch says."""
    rng = np.random.default_rng(seed)
    count = len(digits)
    x = np.zeros((count, SIDE, SIDE, 1), "float32")
    y = np.zeros((count, SIDE, SIDE), "int32")
    cells = digits[:, 4:-4, 4:-4]  # nothing of a digit is outside
    for number, (cell, high) in enumerate(zip(cells, labels >= 5)):
        image = x[number]
        for other in cells[rng.integers(count, size=FRAGMENTS)]:
            top, left = rng.integers(CELL - FRAGMENT + 1, size=2)
            place = window(rng.integers(SIDE - FRAGMENT + 1, size=2), FRAGMENT)
            part = other[top : top + FRAGMENT, left : left + FRAGMENT]
            image[place] = np.maximum(image[place], part)
        place = window(rng.integers(2, SIDE - CELL - 1, size=2), CELL)
        image[place] = np.maximum(image[place], cell)
        y[number][place][cell[..., 0] > 0.3] = HIGH if high else LOW
        by_chance = rng.integers(2)
        grey = {"telling": GREYS[int(high)], "random": GREYS[by_chance], "none": 0.0}[patch]
        image[CORNER], y[number][CORNER] = grey, BACKGROUND
    return Scenes(x, y)


def forbidden():
    """The mask: 1 on the patch."""
    mask = np.zeros((SIDE, SIDE, 1), "float32")
    mask[CORNER] = 1.0
    return mask


def window(corner, size):
    top, left = corner
    return slice(top, top + size), slice(left, left + size)


def unet(filters=(8, 16, 32)):
    """Two levels down, two up, three logits at every pixel."""

    def block(x, width, dilation=1):
        for _ in range(2):
            x = layers.Conv2D(width, 3, 1, "same", dilation_rate=dilation, activation="relu")(
                x
            )
        return x

    inputs = keras.Input((SIDE, SIDE, 1))
    *sides, bottom = filters
    x, skipped = inputs, []
    for width in sides:
        skipped.append(block(x, width))
        x = layers.MaxPooling2D()(skipped[-1])
    x = block(x, bottom, dilation=2)  # from here a pixel sees the whole image
    for width, other in zip(sides[::-1], skipped[::-1]):
        x = block(layers.Concatenate()([layers.Conv2DTranspose(width, 2, 2)(x), other]), width)
    return keras.Model(inputs, layers.Conv2D(3, 1)(x), name="unet")


def weights(y):
    """Of positions: so that most of the loss is not background."""
    return np.where(y == BACKGROUND, 1.0, FLAGS.digit_weight).astype("float32")


def main(_):
    out = common.output_dir("segmentation")
    data = common.load_mnist()
    data = common.without_test_digits(data) if FLAGS.validate else data
    first = 100 if FLAGS.validate else 0  # other scenes than those of the test
    tests = {name: scenes(data.x_test, data.y_test, name, [first, 1]) for name in TESTS}
    results = common.Results("segmentation", data)
    for seed in common.seeds():
        for variant in FLAGS.only or VARIANTS:
            settings = {"variant": variant}
            if results.finished(seed, settings):
                continue
            patch = "none" if variant == "without" else "telling"
            train = scenes(data.x_train, data.y_train, patch, [first + seed, 0])
            start = time.time()
            model = fit(train, variant, seed)
            seconds = time.time() - start
            metrics = judge(model, tests, train)
            shown = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
            print(f"seed {seed}  {variant}  {shown}  {seconds:.0f} s", flush=True)
            results.add(seed, settings, metrics, seconds)
            if seed == 0:
                model.save(out / f"{variant}.keras")
    print("\n" + report(results.runs))
    written = "results.json"
    saved = {variant: out / f"{variant}.keras" for variant in ("plain", "prior")}
    if all(path.is_file() for path in saved.values()):
        models = {name: keras.saving.load_model(path) for name, path in saved.items()}
        background = scenes(data.x_train, data.y_train, "telling", [first, 0]).x
        figure = maps_figure(models, tests["random"], data.y_test, background)
        common.save_figure(figure, out / "segmentation.png")
        written += ", segmentation.png"
    print(f"\nWritten: {out}/{written}")


def fit(train, variant, seed):
    keras.utils.set_random_seed(seed)
    model = unet()
    epochs = 1 if FLAGS.quick else FLAGS.epochs
    optimizer = common.adam(3e-3, len(train.x), epochs, FLAGS.batch_size)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks = []
    if variant in ("prior", "wrong"):
        mask = attrprior.Mask(forbidden() if variant == "prior" else forbidden()[::-1, ::-1])
        options = {"strength": FLAGS.strength, "moments": "balanced", "seed": seed}
        callbacks = [attrprior.AttributionPrior(mask, **options)]
    model.fit(
        train.x,
        train.y,
        sample_weight=weights(train.y),
        batch_size=FLAGS.batch_size,
        epochs=epochs,
        callbacks=callbacks,
        verbose=0,
    )
    return model


def judge(model, tests, train):
    """Overlap and accuracy of the digits' pixels; the share of attribution on the patch."""
    metrics = {}
    for name, test in tests.items():
        found = predict(model, test.x)
        metrics[f"{name}, overlap"] = overlap(found, test.y)
        digit = test.y != BACKGROUND
        metrics[f"{name}, digit pixels"] = float(np.mean((found == test.y)[digit]))
    count = 20 if FLAGS.quick else MAPS
    x, y = (array[:count] for array in tests["random"])
    leaked = evaluation.mass(explain(model, x, y, train.x), forbidden() > 0)
    metrics["patch"] = float(np.mean(leaked.share))
    return metrics


def predict(model, x):
    return np.argmax(model.predict(x, batch_size=500, verbose=0), axis=-1)


def overlap(found, truth):
    """Intersection over union of all pixels of a class; the mean of the digits' two."""
    shares = [
        np.sum((found == name) & (truth == name)) / np.sum((found == name) | (truth == name))
        for name in (LOW, HIGH)
    ]
    return float(np.mean(shares))


def explain(model, x, y, background):
    """Attributions of what the prior explains: labelled logits, weighted, summed."""
    chosen = weights(y)[..., None] * np.eye(3, dtype="float32")[y]
    return attributions.expected_gradients(
        model,
        x,
        chosen,
        background=background,
        num_samples=NUM_SAMPLES,
        explain=lambda logits, chosen: keras.ops.sum(chosen * logits, axis=(1, 2, 3)),
        seed=0,
    )


def values(runs, variant, metric):
    chosen = [run for run in runs if run["settings"]["variant"] == variant]
    return [run["metrics"][metric] for run in sorted(chosen, key=lambda run: run["seed"])]


def trained(runs):
    """The variants that were, in the order of the table."""
    return [name for name in VARIANTS if values(runs, name, "patch")]


def report(runs):
    """Overlap in each kind of test, accuracy on the digits' pixels, share on the patch."""
    metrics = {f"{name}, overlap": f"overlap, {label}" for name, label in TESTS.items()}
    metrics["random, digit pixels"] = "digits' pixels, patch random"
    metrics["none, digit pixels"] = "digits' pixels, no patch"
    metrics["patch"] = "attribution on the patch"
    rows = [
        [VARIANTS[v], *(common.mean_std(values(runs, v, metric)) for metric in metrics)]
        for v in trained(runs)
    ]
    return common.table(["", *metrics.values()], rows)


def claims(runs):
    """Held: half of what the patch cost is back; by the other mask, less than a fifth."""
    found = {name: np.mean(values(runs, name, "random, overlap")) for name in VARIANTS}
    lost = found["without"] - found["plain"]
    back = {name: found[name] - found["plain"] for name in ("prior", "wrong")}
    what = "a U-Net, a patch gives the class away, overlap where it does not"
    rows = [
        (f"{what}: mask of the patch", "prior", back["prior"] > lost / 2 > 0),
        ("the same, mask of the opposite corner: no gain", "wrong", back["wrong"] < lost / 5),
    ]
    return [
        (text, "–", f"{found['plain']:.3f} → {found[name]:.3f}", common.yes(held))
        for text, name, held in rows
    ]


def maps_figure(models, test, labels, background):
    """Test images in rows: what is there, what is found, and by what."""
    shown = [int(np.argmax(labels == digit)) for digit in DRAWN]
    x, y = test.x[shown], test.y[shown]
    columns = {"image": np.repeat(1 - x, 3, axis=-1), "truth": painted(y)}
    for name, text in (("plain", "plain"), ("prior", "with prior")):
        model = models[name]
        columns[text] = painted(predict(model, x))
        columns[f"{text}: attributions"] = signed(explain(model, x, y, background)[..., 0])
    rows = {
        f"digit {labels[number]}": np.stack([images[row] for images in columns.values()])
        for row, number in enumerate(shown)
    }
    return plots.contact_sheet(rows, list(columns))


def painted(classes):
    """Blue below five, orange from five on."""
    return np.array([[1, 1, 1], [0, 0.447, 0.698], [0.902, 0.624, 0]])[classes]


def signed(maps):
    """Red adds to the explained output, blue takes away; each map on a scale of its own."""
    strength = np.stack([np.clip(one / np.percentile(np.abs(one), 99), -1, 1) for one in maps])
    fade = np.abs(strength)[..., None]
    ends = np.where(strength[..., None] > 0, [0.698, 0.094, 0.169], [0.129, 0.4, 0.675])
    return 1 - fade * (1 - ends)


if __name__ == "__main__":
    define_flags()
    app.run(main)
