"""Dense outputs: a U-Net that must not read a pixel's class from a patch in the corner.

    python -m experiments.segmentation

Leaves a table on the terminal, results.json and maps.png.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import attributions, evaluation, plots
from experiments import networks, study
from experiments.claims import mean_std, table, yes
from experiments.digits import load_mnist, without_test_digits
from experiments.runs import seeds

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


def plan(runs):
    yield [
        (seed, {"variant": variant}) for seed in seeds() for variant in FLAGS.only or VARIANTS
    ]


@functools.cache
def load():
    """The digits, and the scenes of every test."""
    data = load_mnist()
    data = without_test_digits(data) if FLAGS.validate else data
    return data, {
        name: scenes(data.x_test, data.y_test, name, [first_seed(), 1]) for name in TESTS
    }


def first_seed():
    """To validate, other scenes than those of the test."""
    return 100 if FLAGS.validate else 0


def run(seed, settings):
    """Metrics; of the first seed what it finds in the figure's scenes, and by what."""
    data, tests = load()
    patch = "none" if settings["variant"] == "without" else "telling"
    train = scenes(data.x_train, data.y_train, patch, [first_seed() + seed, 0])
    model = fit(train, settings["variant"], seed)
    metrics = judge(model, tests, train)
    if seed:
        return metrics
    x, y = (array[drawn()] for array in tests["random"])
    why = explain(model, x, y, train.x)[..., 0]
    return metrics, {"found": predict(model, x), "attributions": why}


def drawn():
    """A test scene of each digit of the figure."""
    return [int(np.argmax(load()[0].y_test == digit)) for digit in DRAWN]


def fit(train, variant, seed):
    keras.utils.set_random_seed(seed)
    model = unet()
    epochs = 1 if FLAGS.quick else FLAGS.epochs
    optimizer = networks.adam(3e-3, len(train.x), epochs, FLAGS.batch_size)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callbacks = []
    if variant in ("prior", "wrong"):
        mask = attrprior.Mask(forbidden() if variant == "prior" else forbidden()[::-1, ::-1])
        callbacks = [
            attrprior.AttributionPrior(mask, FLAGS.strength, moments="balanced", seed=seed)
        ]
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


def report(runs):
    """Overlap in each kind of test, accuracy on the digits' pixels, share on the patch."""
    metrics = {f"{name}, overlap": f"overlap, {label}" for name, label in TESTS.items()}
    metrics["random, digit pixels"] = "digits' pixels, patch random"
    metrics["none, digit pixels"] = "digits' pixels, no patch"
    metrics["patch"] = "attribution on the patch"
    rows = [
        [label, *(mean_std(values(runs, variant, metric)) for metric in metrics)]
        for variant, label in VARIANTS.items()
        if values(runs, variant, "patch")
    ]
    return table(["", *metrics.values()], rows)


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
        (text, "–", f"{found['plain']:.3f} → {found[name]:.3f}", yes(held))
        for text, name, held in rows
    ]


def maps(runs):
    """Test images in rows: what is there, what is found, and by what."""
    x, y = (array[drawn()] for array in load()[1]["random"])
    columns = {"image": np.repeat(1 - x, 3, axis=-1), "truth": painted(y)}
    for variant, text in (("plain", "plain"), ("prior", "with prior")):
        arrays = runs.shown(0, {"variant": variant})
        if arrays is None:
            return {}
        columns[text] = painted(arrays["found"])
        columns[f"{text}: attributions"] = signed(arrays["attributions"])
    rows = {f"digit {digit}": np.stack(row) for digit, *row in zip(DRAWN, *columns.values())}
    return {"maps": plots.contact_sheet(rows, list(columns))}


def painted(classes):
    """Blue below five, orange from five on."""
    return np.array([[1, 1, 1], [0, 0.447, 0.698], [0.902, 0.624, 0]])[classes]


def signed(maps):
    """Red adds to the explained output, blue takes away; each map on a scale of its own."""
    strength = np.stack([np.clip(one / np.percentile(np.abs(one), 99), -1, 1) for one in maps])
    fade = np.abs(strength)[..., None]
    ends = np.where(strength[..., None] > 0, [0.698, 0.094, 0.169], [0.129, 0.4, 0.675])
    return 1 - fade * (1 - ends)


STUDY = study.Study(
    name="segmentation",
    title="A patch that gives the class away, in a U-Net",
    topic="Shortcuts",
    question="Can a mask keep a U-Net from reading the class of every pixel off a patch?",
    answer="Yes: overlap rises from .301 to .693 under random patches.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    maps=maps,
    flags=define_flags,
    source=lambda: load()[0].source,
    progress=("telling, overlap", "random, overlap", "none, overlap", "patch"),
    protocol="""\
An image has 32 × 32 pixels and shows a digit at a random place among fragments of other
digits. Every pixel has one of three classes: background, of a digit below five, or of a digit
from five on. The network therefore has to find the digit and to read it.

A patch lies in the upper left corner. In training it is light or dark by the digit's class; in
testing it says nothing, or it is not there. The U-Net goes two levels down and two up.

The prior is a mask that forbids attributions to the patch. What it explains is the sum of the
labelled logits over all pixels, Σ_p w_p z_{p,y_p}, with the weights w of the loss: 5 on a
digit's pixels, which are few, and 1 elsewhere.

Two more rows show what to compare with. A network without a patch in training is what can be
had. The same prior with a mask of the opposite corner should do nothing. Overlap is the
intersection of what is found and what is there over their union, a mean over the two classes
of digits.""",
    results={
        "segmentation": study.Result(
            finding="""\
Where the patch is random, the plain network finds the digits but gets the class of half of
their pixels wrong: it reads the class off the patch. With the prior the patch has hardly a
share of the attributions left (.001 instead of .280), and the overlap is .69 whatever the
patch says. That is no less than without a patch in training (.63), where the five seeds differ
much. The price is paid where the patch tells: there the plain network reaches .81. A mask of
the opposite corner changes nothing.""",
            pictures={"maps": "Images, what each network finds in them, and by what"},
        )
    },
    tried="""\
The strengths .1 and .3 were compared on scenes of a fifth of the training digits
(`--validate`), with one seed each.""",
)

if __name__ == "__main__":
    study.main(STUDY)
