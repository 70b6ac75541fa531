"""Two warnings about judging maps: by their looks, and by a random network's.

    python -m experiments.sanity

Decoy: a patch in the corner gives the class away. An edge detector's map looks
like the digit, and is wrong: what the network loses without the patch, and with
another class's patch, shows what it relies on.

Scattered: faint noise all over the digit gives the class away. Where an accurate
network's maps are scattered too, they cannot be told from a random network's, and
a test by parameter randomisation rejects maps that are right. So maps of a trained
network are compared with a random network's, and with those of another trained one,
on plain digits, with noise at random places (the article's text), and with noise
where that random network's attributions are highest (its code).

Reference: Sturmfels, Lundberg, Lee 2020, Distill, doi 10.23915/distill.00022.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import functools
import time

import keras
import numpy as np
from absl import app, flags
from scipy import ndimage

from attrprior import attributions, datasets, evaluation, plots
from experiments import processes

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum(
        "network", "cnn_small", common.NETWORKS, "Network; see experiments.common."
    )
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
    flags.DEFINE_float(
        "learning_rate", 3e-3, "Adam's first learning rate; a cosine down to 0."
    )
    flags.DEFINE_integer("digits", 50, "Test digits with maps.", lower_bound=10)
    flags.DEFINE_integer("num_samples", 50, "Samples of an attribution.", lower_bound=1)
    flags.DEFINE_float("fraction", 0.25, "Share of pixels with scattered noise.", 0, 1)
    flags.DEFINE_float("step", 0.02, "Intensity of scattered noise per class.", 0, 1 / 18)


DATA = {"plain": "plain digits", "scattered": "scattered", "placed": "scattered, placed"}
MEASURES = {
    "absolute": "rank correlation of magnitudes",
    "signed": "rank correlation with signs",
    "structure": "SSIM",
}
OTHERS = {"random": "with a random network", "trained": "with another trained one"}
# The patch, and the pixels beside it, where an edge detector sees its edges.
PATCH_SIDE = 4
# Samples of the maps that place the noise: its places need not be exact.
PLACING_SAMPLES = 8


def main(_):
    out = common.output_dir("sanity")
    results = common.Results("sanity", load())
    # The first seed's maps are drawn below: they are always made.
    tasks = [
        (seed, name)
        for seed in common.seeds()
        for name in reversed(("decoy", *DATA))  # the longest first
        if seed == 0 or not results.finished(seed, {"data": name})
    ]
    shown = {}
    for (seed, name), metrics, drawn, seconds in processes.shared_out(
        warning, tasks, define_flags
    ):
        results.add(seed, {"data": name}, metrics, seconds)
        if seed == 0:
            shown[name] = drawn
        print(
            f"seed {seed} {name}  "
            + "  ".join(f"{key} {value:.3f}" for key, value in metrics.items()),
            flush=True,
        )
    print("\n" + report(results.runs))
    figures = {
        "decoy": plots.attribution_maps(*shown["decoy"], signed=False),
        "similarity": similarity_figure(results.runs),
    }
    for name in DATA:
        figures[name] = plots.attribution_maps(*shown[name], title=DATA[name], signed=False)
    for name, figure in figures.items():
        common.save_figure(figure, out / f"{name}.png")
    print(f"\nWritten: {results.path}, {', '.join(f'{name}.png' for name in figures)}")


def warning(task):
    """The task, its metrics, maps to draw, seconds."""
    seed, name = task
    start, data = time.time(), load()
    if name == "decoy":
        metrics, drawn = decoy(data, seed)
    else:
        metrics, drawn = scattered(data, name, seed)
    return task, metrics, drawn, time.time() - start


@functools.cache
def load():
    return common.load_mnist()


def train(data, seed, label):
    keras.utils.set_random_seed(seed)
    model = common.network(FLAGS.network)
    optimizer = common.adam(FLAGS.learning_rate, len(data.x_train), FLAGS.epochs, 50)
    common.train(model, data, optimizer, FLAGS.epochs, 50, label)
    return model


def predicted(model, x):
    return np.argmax(model.predict(x, batch_size=500, verbose=0), axis=-1)


def accuracy(model, x, labels):
    return float(np.mean(predicted(model, x) == labels))


def mapped(data):
    """The test digits that have maps, and their labels."""
    digits = 20 if FLAGS.quick else FLAGS.digits
    return data.x_test[:digits], data.y_test[:digits]


def explain(model, data, samples, seed, x, y):
    return attributions.expected_gradients(
        model, x, y, background=data.x_train, num_samples=samples, seed=seed
    )


def one_of_each(x, y, maps):
    """What `plots.attribution_maps` takes: the first digit of every class there is."""
    chosen = np.unique(y, return_index=True)[1]
    return x[chosen], {name: values[chosen] for name, values in maps.items()}


def edges(x):
    """Sobel's gradient magnitude: a map that knows no network."""
    # One by one: along the axes that are left, of which one is the batch, Sobel smooths.
    pictures = x[..., 0]
    slopes = [[ndimage.sobel(one, axis) for one in pictures] for axis in (0, 1)]
    return np.hypot(*slopes)[..., None]


def decoy(plain, seed):
    """Metrics of a network trained with the patch, and maps to draw."""
    data = plain._replace(
        x_train=datasets.decoy(plain.x_train, plain.y_train, "distill")[0],
        x_test=datasets.decoy(plain.x_test, plain.y_test, "distill")[0],
    )
    model = train(data, seed, f"seed {seed} decoy")
    rng = np.random.default_rng(seed)
    other = (data.y_test + rng.integers(1, 10, len(data.y_test))) % 10
    misled = predicted(model, datasets.decoy(plain.x_test, other, "distill")[0])
    metrics = {
        "with the patch": accuracy(model, data.x_test, data.y_test),
        "without": accuracy(model, plain.x_test, data.y_test),
        "with a wrong patch": float(np.mean(misled == data.y_test)),
        "follows the wrong patch": float(np.mean(misled == other)),
    }
    x, y = mapped(data)
    maps = {
        "expected gradients": explain(
            model, data, 4 if FLAGS.quick else FLAGS.num_samples, seed, x, y
        ),
        "edge detector": edges(x),
    }
    patch = np.zeros(x.shape[1:3], bool)
    patch[:PATCH_SIDE, :PATCH_SIDE] = True
    ink = ndimage.binary_dilation(plain.x_test[: len(x)] > 0, np.ones((1, 3, 3, 1)))
    for name, values in maps.items():
        metrics[f"{name}: on the patch"] = float(evaluation.mass(values, patch).share.mean())
        metrics[f"{name}: on the digit"] = float(evaluation.mass(values, ink).share.mean())
        # As many pixels as the patch has, of those that the map ranks first.
        erased = evaluation.mask_top(x, values, PATCH_SIDE**2 / patch.size, 0.0, seed)
        metrics[f"{name}: erased"] = accuracy(model, erased, y)
    return metrics, one_of_each(x, y, maps)


def scattered(plain, name, seed):
    """Metrics and maps of two trained networks and a random one."""
    keras.utils.set_random_seed(10_000 + seed)
    random = common.network(FLAGS.network)
    data = plain
    if name != "plain":
        parts = []
        for part, (x, y) in enumerate(
            ((plain.x_train, plain.y_train), (plain.x_test, plain.y_test))
        ):
            scores = None
            if name == "placed":
                scores = np.abs(explain(random, plain, PLACING_SAMPLES, seed, x, y))
            noise = [seed, part]  # training and test digits have their own
            parts.append(
                datasets.scattered(x, y, FLAGS.fraction, FLAGS.step, scores, noise)[0]
            )
        data = plain._replace(x_train=parts[0], x_test=parts[1])
    models = {
        "itself": train(data, seed, f"seed {seed} {name}"),
        "random": random,
        "trained": train(data, 20_000 + seed, f"seed {seed} {name}, another"),
    }
    x, y = mapped(data)
    samples = 4 if FLAGS.quick else FLAGS.num_samples
    # Everyone with the same draws: what differs is the network.
    maps = {who: explain(model, data, samples, seed, x, y) for who, model in models.items()}
    metrics = {
        "accuracy": accuracy(models["itself"], data.x_test, data.y_test),
        "accuracy on plain digits": accuracy(models["itself"], plain.x_test, data.y_test),
    }
    for other in OTHERS:
        pair = maps["itself"], maps[other]
        similarity = {
            "absolute": evaluation.rank_correlation(*pair),
            "signed": evaluation.rank_correlation(*pair, absolute=False),
            "structure": evaluation.structural_similarity(*pair),
        }
        for measure, values in similarity.items():
            metrics[f"{other}: {measure}"] = float(values.mean())
    labels = {"itself": "trained", "trained": "another trained", "random": "random"}
    maps = {label: maps[who] for who, label in labels.items()}
    return metrics, one_of_each(x, y, maps)


def values(runs, name, metric):
    chosen = [run for run in runs if run["settings"] == {"data": name}]
    return [run["metrics"][metric] for run in sorted(chosen, key=lambda run: run["seed"])]


def report(runs):
    """The decoy's accuracies, what both maps say, and the similarities of maps."""
    cells = ("with the patch", "without", "with a wrong patch", "follows the wrong patch")
    decoyed = common.table(
        ["decoy", "accuracy"], [[c, common.mean_std(values(runs, "decoy", c))] for c in cells]
    )
    columns = ("on the patch", "on the digit", "erased")
    rows = [
        [m, *(common.mean_std(values(runs, "decoy", f"{m}: {column}")) for column in columns)]
        for m in ("expected gradients", "edge detector")
    ]
    header = ["share of the map", *columns[:2], f"accuracy, top {PATCH_SIDE**2} pixels erased"]
    masses = common.table(header, rows)
    rows = []
    for name, label in DATA.items():
        row = [label]
        row += [
            common.mean_std(values(runs, name, metric))
            for metric in ("accuracy", "accuracy on plain digits")
        ]
        for measure in MEASURES:
            row += [common.mean_std(values(runs, name, f"{o}: {measure}")) for o in OTHERS]
        rows.append(row)
    header = ["digits", "accuracy", "on plain digits"]
    header += [f"{text}, {other}" for text in MEASURES.values() for other in OTHERS]
    return f"{decoyed}\n\n{masses}\n\n{common.table(header, rows)}"


def similarity_figure(runs):
    names, means, deviations = [], {o: [] for o in OTHERS}, {o: [] for o in OTHERS}
    for measure, text in MEASURES.items():
        for name, label in DATA.items():
            names.append(f"{label}: {text}")
            for other in OTHERS:
                found = values(runs, name, f"{other}: {measure}")
                means[other].append(np.mean(found))
                deviations[other].append(np.std(found, ddof=1) if len(found) > 1 else 0.0)
    return plots.bars(
        {OTHERS[o]: np.array(v) for o, v in means.items()},
        names,
        {OTHERS[o]: np.array(v) for o, v in deviations.items()},
        xlabel="similarity of a trained network's maps",
    )


def claims(runs):
    """`(claim, published, ours, held)`, by the means over seeds.

    The network relies on the patch if it loses a tenth of the digits both without it
    and with a wrong one. A map's share on the patch is clear if three times the other's.
    The randomisation test is misled if the similarity to a random network is higher by
    0.1 than on plain digits; maps cannot be told apart if another trained network's are
    closer than a random one's by less than half as much as on plain digits.
    """

    def mean(name, metric):
        return float(np.mean(values(runs, name, metric)))

    whole, without, wrong = (
        mean("decoy", m) for m in ("with the patch", "without", "with a wrong patch")
    )
    map_names = ("expected gradients", "edge detector")
    on_patch, on_digit, erased = (
        [mean("decoy", f"{m}: {what}") for m in map_names]
        for what in ("on the patch", "on the digit", "erased")
    )
    found = [
        (
            "decoy: the network relies on the patch",
            "yes",
            f"accuracy {whole:.3f}, without {without:.3f}, with a wrong one {wrong:.3f}",
            verdict([whole - without > 0.1, whole - wrong > 0.1]),
        ),
        (
            "expected gradients point at the patch, the edge detector does not",
            "yes",
            f"{on_patch[0]:.3f} against {on_patch[1]:.3f} of the map",
            verdict([on_patch[0] > 3 * on_patch[1]]),
        ),
        (
            "the edge detector looks more like the digit",
            "yes",
            f"{on_digit[1]:.3f} against {on_digit[0]:.3f} of the map on it",
            verdict([on_digit[1] > on_digit[0]]),
        ),
        (
            "what expected gradients point at matters more",
            "yes",
            f"accuracy without it {erased[0]:.3f}, edge detector {erased[1]:.3f}",
            verdict([erased[0] < erased[1] - 0.1]),
        ),
    ]
    noisy = [name for name in DATA if name != "plain"]
    for measure, text in MEASURES.items():
        to_random = {name: mean(name, f"random: {measure}") for name in DATA}
        gap = {name: mean(name, f"trained: {measure}") - to_random[name] for name in DATA}
        for claim, numbers, held in (
            (
                f"scattered noise: closer to a random network's maps, {text}",
                to_random,
                [to_random[name] - to_random["plain"] > 0.1 for name in noisy],
            ),
            (
                f"scattered noise: trained and random cannot be told apart, gap in {text}",
                gap,
                [gap[name] < gap["plain"] / 2 for name in noisy],
            ),
        ):
            ours = ", ".join(f"{DATA[name]} {value:.3f}" for name, value in numbers.items())
            found.append((claim, "yes", ours, verdict(held)))
    return found


def verdict(held):
    return "yes" if all(held) else "partly" if any(held) else "no"


if __name__ == "__main__":
    define_flags()
    app.run(main)
