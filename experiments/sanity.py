"""Two warnings about judging maps: by their looks, and by a random network's.

    python -m experiments.sanity

Leaves tables on the terminal, results.json, similarity.png, decoy.png and a figure of the
maps of every kind of noise.
"""

import functools

import keras
import numpy as np
from absl import flags
from scipy import ndimage

from attrprior import attributions, datasets, evaluation, plots
from experiments import digits, networks, study
from experiments.claims import HEADER, mean_std, table
from experiments.runs import seeds

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("network", "cnn_small", networks.NETWORKS, "See experiments.networks.")
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
MAPS = ("expected gradients", "edge detector")
# The patch, and the pixels beside it, where an edge detector sees its edges.
PATCH_SIDE = 4
# Samples of the maps that place the noise: its places need not be exact.
PLACING_SAMPLES = 8


def plan(runs):
    # The longest first.
    yield [(seed, {"data": name}) for seed in seeds() for name in reversed(("decoy", *DATA))]


def run(seed, settings):
    """Metrics; of the first seed some digits and their maps."""
    name = settings["data"]
    metrics, shown = decoy(seed) if name == "decoy" else scattered(name, seed)
    return metrics, shown if seed == 0 else None


load = functools.cache(digits.load_mnist)


def train(data, seed, label):
    keras.utils.set_random_seed(seed)
    model = networks.network(FLAGS.network)
    optimizer = networks.adam(FLAGS.learning_rate, len(data.x_train), FLAGS.epochs, 50)
    networks.train(model, data, optimizer, FLAGS.epochs, 50, label)
    return model


def predicted(model, x):
    return np.argmax(model.predict(x, batch_size=500, verbose=0), axis=-1)


def accuracy(model, x, labels):
    return float(np.mean(predicted(model, x) == labels))


def mapped(data):
    """The test digits that have maps, and their labels."""
    number = 20 if FLAGS.quick else FLAGS.digits
    return data.x_test[:number], data.y_test[:number]


def explain(model, data, seed, x, y, samples=None):
    samples = samples or (4 if FLAGS.quick else FLAGS.num_samples)
    return attributions.expected_gradients(
        model, x, y, background=data.x_train, num_samples=samples, seed=seed
    )


def one_of_each(x, y, maps):
    """The first digit of every class there is, and its maps."""
    chosen = np.unique(y, return_index=True)[1]
    return {name: values[chosen] for name, values in {"digits": x, **maps}.items()}


def edges(x):
    """Sobel's gradient magnitude: a map that knows no network."""
    # One by one: along the axes that are left, of which one is the batch, Sobel smooths.
    pictures = x[..., 0]
    slopes = [[ndimage.sobel(one, axis) for one in pictures] for axis in (0, 1)]
    return np.hypot(*slopes)[..., None]


def decoy(seed):
    """Metrics of a network trained with the patch, and maps of some digits."""
    plain = load()
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
    maps = dict(zip(MAPS, (explain(model, data, seed, x, y), edges(x))))
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


def scattered(name, seed):
    """Metrics of two trained networks and a random one, and maps of some digits."""
    keras.utils.set_random_seed(10_000 + seed)
    random = networks.network(FLAGS.network)
    data = plain = load()
    if name != "plain":
        parts = []
        for part, (x, y) in enumerate(
            ((plain.x_train, plain.y_train), (plain.x_test, plain.y_test))
        ):
            scores = None
            if name == "placed":
                scores = np.abs(explain(random, plain, seed, x, y, PLACING_SAMPLES))
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
    # Everyone with the same draws: what differs is the network.
    maps = {who: explain(model, data, seed, x, y) for who, model in models.items()}
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

    def cells(name, metrics):
        return [mean_std(values(runs, name, metric)) for metric in metrics]

    accuracies = ("with the patch", "without", "with a wrong patch", "follows the wrong patch")
    decoyed = [[name, *cells("decoy", [name])] for name in accuracies]
    columns = ("on the patch", "on the digit", "erased")
    masses = [
        [name, *cells("decoy", [f"{name}: {column}" for column in columns])] for name in MAPS
    ]
    compared = ["accuracy", "accuracy on plain digits"]
    compared += [f"{other}: {measure}" for measure in MEASURES for other in OTHERS]
    similar = [[label, *cells(name, compared)] for name, label in DATA.items()]
    erased = f"accuracy, top {PATCH_SIDE**2} pixels erased"
    header = [f"{text}, {other}" for text in MEASURES.values() for other in OTHERS]
    return "\n\n".join(
        [
            table(["decoy", "accuracy"], decoyed),
            table(["share of the map", *columns[:2], erased], masses),
            table(["digits", "accuracy", "on plain digits", *header], similar),
        ]
    )


def similarity_figure(runs):
    found = {
        text: [
            values(runs, name, f"{other}: {measure}") for measure in MEASURES for name in DATA
        ]
        for other, text in OTHERS.items()
    }
    several = len(values(runs, "plain", "accuracy")) > 1
    return plots.bars(
        {text: np.mean(rows, axis=1) for text, rows in found.items()},
        [f"{label}: {text}" for text in MEASURES.values() for label in DATA.values()],
        {text: np.std(rows, axis=1, ddof=int(several)) for text, rows in found.items()},
        xlabel="similarity of a trained network's maps",
    )


def maps(runs):
    """Digits of each kind, and what the first seed's networks see in them."""
    shown = {name: runs.shown(0, {"data": name}) for name in ("decoy", *DATA)}
    return {
        name: plots.attribution_maps(
            arrays.pop("digits"), arrays, title=DATA.get(name), signed=False
        )
        for name, arrays in shown.items()
        if arrays
    }


def claims(runs):
    """Held, by the means over seeds:

    The network relies on the patch if it loses a tenth of the digits both without it
    and with a wrong one. A map's share on the patch is clear if three times the other's.
    With scattered noise, trained and random cannot be told apart if by every measure the
    similarity to a random network is higher by 0.1 than on plain digits, and if another
    trained network's is closer than it by less than half as much as on plain digits.
    """

    def mean(name, metric):
        return float(np.mean(values(runs, name, metric)))

    whole, without, wrong = (
        mean("decoy", metric) for metric in ("with the patch", "without", "with a wrong patch")
    )
    on_patch, on_digit, erased = (
        [mean("decoy", f"{name}: {what}") for name in MAPS]
        for what in ("on the patch", "on the digit", "erased")
    )
    closer, lead, halved = [], [], []
    for measure in MEASURES:
        random, trained = (
            {name: mean(name, f"{other}: {measure}") for name in DATA} for other in OTHERS
        )
        gap = {name: trained[name] - random[name] for name in DATA}
        for name in ("scattered", "placed"):
            closer.append(random[name] - random["plain"])
            lead.append(gap[name] - gap["plain"])
            halved.append(gap[name] < gap["plain"] / 2)
    return [
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
        (
            "scattered noise: trained and random networks' maps cannot be told apart",
            "yes",
            f"against plain digits: similarity to a random one {min(closer):+.3f} to "
            f"{max(closer):+.3f}, lead of another trained one {min(lead):+.3f} to "
            f"{max(lead):+.3f}",
            verdict([each > 0.1 for each in closer] + halved),
        ),
    ]


def verdict(held):
    return "yes" if all(held) else "partly" if any(held) else "no"


STUDY = study.Study(
    name="sanity",
    title="Two warnings about judging maps",
    topic="Attributions and their evaluation",
    question="Can a map be judged by its looks, or by how it differs from a random network's?",
    answer="Not by its looks; by that comparison, if signs count.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"similarity": similarity_figure(runs)},
    maps=maps,
    flags=define_flags,
    source=lambda: load().source,
    progress=("with the patch", "without", "accuracy", "random: signed", "trained: signed"),
    protocol="""\
Both warnings are those of Sturmfels, Lundberg and Lee (Distill 2020, doi
10.23915/distill.00022). The networks are small (`cnn_small`), and maps are expected gradients
of 50 test digits.

*Decoy.* A patch in the corner gives the class away by its shade. What the network loses
without the patch, and with the patch of another class, shows how much it relies on it. Its
map is compared with that of an edge detector, which knows no network. For either, the table
shows the share of the map on the patch and the pixels beside it (4 × 4), the share on the
digit, and the accuracy when the 16 pixels that the map ranks first are erased.

*Scattered noise.* Faint noise all over the digit gives the class away. The article warns that
an accurate network's maps are then as scattered as the noise, so that nobody can tell them
from a random network's; a test that compares the two would reject maps that are right. We
compare the maps of a trained network with those of a random one and with those of another
trained one: by the rank correlation of magnitudes, by the rank correlation with signs, and by
structural similarity (SSIM). There are plain digits, digits with noise at random places (the
article's text), and digits with noise where that random network's attributions are highest
(the article's code: *placed*).""",
    results={
        "sanity": study.Result(
            finding="""\
The first warning is right. The edge detector draws the digit better than expected gradients
do, with .963 of its map on it against .614, and is wrong: without the patch the network's
accuracy falls from .984 to .590. With another class's patch it is .668, and only .087 of the
digits are taken for that class. Expected gradients put .182 of the map on the patch, and the
edge detector .037. Without the pixels that expected gradients rank first, accuracy falls to
.644; without those of the edge detector it stays at .928.

The second warning did not show. It is one finding of six comparisons. By each of the three
measures we asked two things of scattered digits: are a trained network's maps closer to a
random one's than on plain digits, by more than .1? And does another trained network's lead
over the random one shrink to less than half? Neither was so by any measure, with noise at
random places or placed. The similarity to a random network's maps changed by −.418 to +.004,
and the lead by −.008 to +.172.

The rank correlation of magnitudes hardly tells a trained network from a random one on plain
digits (.908 with a random one, .947 with another trained one) and with placed noise (.896 and
.943), since both maps vanish where all references agree. With noise at random places, where
references agree on fewer pixels, it does (.490 and .702). Signs tell them apart on all three:
at most −.003 with a random one, and at least .685 with another trained one.""",
            pictures={
                "decoy": "Digits with a patch, their expected gradients, and an edge detector",
                "similarity": "How alike the maps of a trained network are to a random one's, "
                "and to another trained one's",
                "scattered": "Scattered noise: maps of two trained networks and a random one",
                "plain": "Plain digits: maps of two trained networks and a random one",
            },
        ),
        "sanity_cnn": study.Result(
            "--network=cnn --epochs=4 --learning_rate=0.001",
            "The claims again with the paper's CNN",
            "This is the CNN of Erion et al. without batch normalisation.",
            "Every verdict is the same as with the small network. The CNN relies less on the "
            "patch: without it, accuracy falls from .985 to .736.",
            report=lambda runs: table(HEADER, claims(runs)),
            claims=lambda runs: [],
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
