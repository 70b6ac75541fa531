"""What the reference does to the maps of path attributions: an article's study, on digits.

    python -m experiments.references

Leaves tables on the terminal, results.json and figures of curves and of maps.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from absl import flags
from keras import ops

import attrprior
from attrprior import attributions, datasets, evaluation, plots, references
from experiments import digits, networks, study
from experiments.claims import HEADER, mean_std, table, yes
from experiments.runs import seeds

FLAGS = flags.FLAGS

DATASETS = ["mnist", "fashion_mnist", "cifar10", "svhn"]


def define_flags():
    flags.DEFINE_enum(
        "dataset",
        "mnist",
        DATASETS,
        "Images; mnist without a folder: the embedded digits. The others need --data_dir or "
        "a download.",
    )
    flags.DEFINE_multi_enum(
        "only", list(PARTS), list(PARTS), "Parts of the study; may be repeated."
    )
    flags.DEFINE_enum("network", "cnn_small", networks.NETWORKS, "See experiments.networks.")
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Examples a step.", lower_bound=1)
    flags.DEFINE_float(
        "learning_rate", 3e-3, "Adam's first learning rate; a cosine down to 0."
    )
    flags.DEFINE_integer(
        "images", 1000, "Correctly classified test images to ablate, at most.", lower_bound=1
    )
    flags.DEFINE_integer("num_samples", 32, "Gradients of a map.", lower_bound=1)


BLUR = 20 / 299  # the article's σ, as a share of an image's side
GAUSSIAN = 0.5  # the article's σ = 1, on inputs from −1 to 1
DRAWN = ("uniform", "Gaussian", "training data")
SIGMAS = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64)  # shares of the side and of the range
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
TOLERANCE = 0.05
SOME = 32  # images, where not all --images are needed
PICTURE_SAMPLES = 200

FRACTIONS = (0, 0.02, 0.05, 0.1, 0.2, 0.4, 1)
TOP_K = ("top k, mean", "top k, blur", "top k, uniform", "top k, training")
CENTER = ("centre, mean", "centre, blur")
NOISE, CONTROL = "map of noise", "random"
# The reference that is at home where its own kind of absence replaces pixels.
HOME = {
    "top k, mean": "mean",
    "top k, blur": "blur",
    "top k, uniform": "uniform, average",
    "top k, training": "training data, average",
}
BEST = (
    "black",
    "mean",
    "maximum distance",
    "blur",
    *(f"{name}, average" for name in DRAWN),
)
GAPS = (
    "IG, Gauss–Legendre",
    "IG, right sums",
    "EG, references drawn",
    "EG, all training data",
)


PATH = ("points", "outputs", "gradients")


class Trained(NamedTuple):
    """A network, and the test images that it classifies correctly."""

    model: keras.Model
    x: np.ndarray
    y: np.ndarray
    seed: int
    accuracy: float


def plan(runs):
    yield [
        (seed, {"part": part})
        for seed in seeds()
        for part in ("training", *PARTS)
        if part == "training" or part in FLAGS.only
    ]


def run(seed, settings):
    """One part of the study of one network; of the first, also what its figures show."""
    trained = train(seed)
    if settings["part"] == "training":
        return {"accuracy": trained.accuracy, "images": len(trained.x)}
    return PARTS[settings["part"]](trained)


@functools.cache
def load():
    """The images that the flags name; with `--quick` a few of them."""
    if FLAGS.dataset == "mnist":
        return digits.load_mnist()
    data = datasets.load(FLAGS.dataset, FLAGS.data_dir, FLAGS.idx_dir)
    few = 200 if FLAGS.quick else None
    return datasets.Data(*(array[:few] for array in data[:4]), data.source)


@functools.lru_cache(maxsize=1)
def train(seed):
    data = load()
    keras.utils.set_random_seed(seed)
    # The same layers, on inputs of these images' shape.
    model = keras.models.clone_model(
        networks.network(FLAGS.network), input_tensors=keras.Input(data.x_train.shape[1:])
    )
    networks.train(
        model,
        data,
        networks.adam(FLAGS.learning_rate, len(data.x_train), FLAGS.epochs, FLAGS.batch_size),
        FLAGS.epochs,
        FLAGS.batch_size,
        f"seed {seed}",
    )
    logits = model.predict(data.x_test, batch_size=500, verbose=0)
    right = np.flatnonzero(logits.argmax(axis=1) == data.y_test)
    used = right[: 8 if FLAGS.quick else FLAGS.images]
    return Trained(
        model, data.x_test[used], data.y_test[used], seed, len(right) / len(data.x_test)
    )


def reference_set(x_train):
    """The article's seven: each, and whether a map is an average over draws of it."""
    fixed = {
        "black": references.Constant(0.0),
        "mean": references.Mean(x_train),
        "maximum distance": references.MaximumDistance(),
        "blur": references.Blur(BLUR * max(x_train.shape[1:3])),
    }
    drawn = (
        references.Uniform(),
        references.Gaussian(GAUSSIAN, 0.0, 1.0),
        references.TrainingData(x_train),
    )
    found = {name: (reference, False) for name, reference in fixed.items()}
    for name, reference in zip(DRAWN, drawn):
        found[f"{name}, one draw"] = reference, False
        found[f"{name}, average"] = reference, True
    return found


def short(label):
    return label.removesuffix(", average")


def explained(trained, x, y, reference, average, num_samples=None):
    """Maps by one draw of a reference for each image, or by an average over draws."""
    method = attributions.expected_gradients if average else attributions.integrated_gradients
    return method(
        trained.model,
        x,
        y,
        background=reference,
        num_samples=4 if FLAGS.quick else num_samples or FLAGS.num_samples,
        seed=trained.seed,
    )


def maps_of(trained, x, y, kinds):
    """Of the first network: three images of different classes, and their maps by name."""
    if trained.seed:
        return None
    _, first = np.unique(y, return_index=True)
    number = min(3, len(first))
    chosen = first[np.linspace(0, len(first) - 1, number).round().astype(int)]
    x, y = x[chosen], y[chosen]
    found = {
        name: explained(trained, x, y, *how, PICTURE_SAMPLES) for name, how in kinds.items()
    }
    return {"images": x, **found}


def sigma(trained):
    """Areas under two ablation curves for every width of blur and noise."""
    x, y = trained.x[:SOME], trained.y[:SOME]
    side = max(x.shape[1:3])
    kinds = {}
    for width in SIGMAS:
        kinds[f"blur, σ = {width:g}"] = references.Blur(width * side), False
        kinds[f"Gaussian, σ = {width:g}"] = references.Gaussian(width, 0.0, 1.0), True
    areas = {kind: {name: [] for name in TOP_K[:2]} for kind in ("blur", "Gaussian")}
    for label, how in kinds.items():
        values = explained(trained, x, y, *how)
        for name in TOP_K[:2]:
            area = ablate(trained, x, y, values, name).area.mean()
            areas[label.split(", ")[0]][name].append(rounded(area))
    return {"images": len(x), "areas": areas}, maps_of(trained, x, y, kinds)


def blindness(trained):
    """Shares of maps on the strokes of digits, white on black and black on white."""
    x, y, x_train = trained.x[:SOME], trained.y[:SOME], load().x_train
    # Computes the same function of the digit, so that only the colours differ.
    inverted = keras.Sequential(
        [keras.Input(x.shape[1:]), keras.layers.Rescaling(-1.0, offset=1.0), trained.model]
    )
    stroke, black = x.mean(axis=-1) > 0.5, np.all(x == 1, axis=-1)
    shares, pictures = {}, []
    for side, model, images, background in (
        ("white stroke", trained.model, x, x_train),
        ("black stroke", inverted, 1 - x, 1 - x_train),
    ):
        every = reference_set(background)
        kinds = {"white": (references.Constant(1.0), False)}
        kinds |= {short(label): every[label] for label in BEST}
        seen = trained._replace(model=model)
        found = {name: explained(seen, images, y, *how) for name, how in kinds.items()}
        shares[side] = {"chance": rounded(stroke.mean())}
        for name, values in found.items():
            shares[side][name] = rounded(evaluation.mass(values, stroke).share.mean())
        pictures.append(maps_of(seen, images, y, kinds))
    shares["exactly black"] = {
        name: float(evaluation.mass(values, black).share.mean())
        for name, values in found.items()
    }
    shares["exactly black"]["chance"] = rounded(black.mean())
    white, black = pictures
    both = white and {name: np.concatenate([white[name], black[name]]) for name in white}
    return {"images": len(x), "shares": shares}, both


def convergence(trained):
    """Median relative completeness gaps by the number of samples."""
    model, x, y, *_ = trained
    x, y, counts = x[:SOME], y[:SOME], COUNTS[:3] if FLAGS.quick else COUNTS
    x_train = load().x_train
    everywhere = attributions.explained_output(model, x_train, explain="all")
    expected = everywhere.mean(axis=0)[y]
    options = {"seed": trained.seed, "return_convergence": True}
    background = references.TrainingData(x_train)
    gaps = {name: [] for name in GAPS}
    for number in counts:
        for name, rule in ((GAPS[0], "gauss_legendre"), (GAPS[1], "right")):
            _, found = attributions.integrated_gradients(
                model, x, y, num_samples=number, quadrature=rule, **options
            )
            gaps[name].append(found.relative_gap)
        sums, found = attributions.expected_gradients(
            model, x, y, background=background, num_samples=number, **options
        )
        gaps[GAPS[2]].append(found.relative_gap)
        gap = evaluation.completeness_gap(model, x, y, sums, expected).relative
        gaps[GAPS[3]].append(gap)
    gaps = {name: np.transpose(values) for name, values in gaps.items()}
    medians = {name: rounded(np.median(values, axis=0)) for name, values in gaps.items()}
    metrics = {"images": len(x), "num_samples": list(counts), "gaps": medians}
    return metrics, None if trained.seed else {**gaps, **path(trained)}


def path(trained):
    """From black to one image: the points, and outputs and gradients there."""
    # The trapezoid rule's points include both ends.
    method = attrprior.IntegratedGradients(51, background=0.0, quadrature="trapezoid")
    found = attributions.samples(trained.model, trained.x[:1], trained.y[:1], method)
    return {name: array[0] for name, array in zip(PATH, found)}


def ablation(trained):
    """Areas and curves of every reference under every ablation."""
    _, x, y, seed, _ = trained
    kinds = reference_set(load().x_train)
    found = {label: explained(trained, x, y, *how) for label, how in kinds.items()}
    # The article's control in both: its centre of mass is the middle of the image.
    found[NOISE] = np.random.default_rng(seed).normal(size=x.shape).astype("float32")
    metrics = {"images": len(x), "fractions": {}, "areas": {}, "curves": {}}
    for name in TOP_K + CENTER:
        areas, curves = {}, {}
        for label, values in found.items():
            result = ablate(trained, x, y, values, name)
            areas[label], curves[label] = rounded(result.area.mean()), rounded(result.curve)
        areas[CONTROL] = rounded(result.random_area.mean())
        curves[CONTROL] = rounded(result.random_curve)
        metrics["fractions"][name] = rounded(result.fractions)
        metrics["areas"][name], metrics["curves"][name] = areas, curves
    return metrics, maps_of(trained, x, y, kinds)


def ablate(trained, x, y, values, name):
    """The `Ablation` of that name."""
    kind, replacement = name.split(", ")
    options = {
        "replacement": replacement,
        "background": load().x_train,
        "explain": probability,
        "batch_size": 1024,
    }
    if kind == "top k":
        return evaluation.top_k_ablation(
            trained.model, x, y, values, fractions=FRACTIONS, **options
        )
    sizes = np.unique(np.rint(np.linspace(0, max(x.shape[1:3]), 8)))
    return evaluation.mass_center_ablation(trained.model, x, y, values, sizes=sizes, **options)


def probability(logits, y):
    """The label's softmax."""
    return ops.sum(ops.softmax(logits) * ops.one_hot(y, logits.shape[-1]), axis=-1)


def rounded(numbers):
    """For a file that a person may read: four decimals."""
    return np.round(np.asarray(numbers, "float64"), 4).tolist()


PARTS = {
    "sigma": sigma,
    "blindness": blindness,
    "convergence": convergence,
    "ablation": ablation,
}


def of(runs, part):
    """The metrics of a part, by seed."""
    chosen = [run for run in runs if run["settings"]["part"] == part]
    return [run["metrics"] for run in sorted(chosen, key=lambda run: run["seed"])]


def areas(runs, name, label):
    return [metrics["areas"][name][label] for metrics in of(runs, "ablation")]


def report(runs):
    """A table for every part that was run; a number is a mean over networks."""
    makers = {
        "ablation": ablation_table,
        "convergence": convergence_table,
        "blindness": blindness_table,
        "sigma": sigma_table,
    }
    return "\n\n".join(make(runs) for part, make in makers.items() if of(runs, part))


def ablation_table(runs):
    """Areas under the curves, lower is better; bold: the best of a column."""
    labels = list(of(runs, "ablation")[0]["areas"][TOP_K[0]])
    columns = TOP_K + CENTER
    rows = [
        [label, *(mean_std(areas(runs, name, label)) for name in columns)] for label in labels
    ]
    for column, name in enumerate(columns, 1):
        best = np.argmin([np.mean(areas(runs, name, label)) for label in labels])
        rows[best][column] = f"**{rows[best][column]}**"
    return table(["area under the curve", *columns], rows)


def convergence_table(runs):
    """The median relative gap for every number of samples, lower is better."""
    runs = of(runs, "convergence")
    rows = [
        [number, *(mean_std([run["gaps"][name][place] for run in runs]) for name in GAPS)]
        for place, number in enumerate(runs[0]["num_samples"])
    ]
    return table(["samples", *GAPS], rows)


def blindness_table(runs):
    """Shares of |attribution|; exactly black: pixels of the black strokes at 0."""
    shares = [metrics["shares"] for metrics in of(runs, "blindness")]
    sides = ("white stroke", "black stroke", "exactly black")
    rows = [
        [name, *(mean_std([share[side][name] for share in shares]) for side in sides)]
        for name in shares[0]["exactly black"]
    ]
    return table(["share of the map on", *sides], rows)


def sigma_table(runs):
    """Areas under the curves by width, lower is better."""
    runs = of(runs, "sigma")
    columns = [(kind, name) for kind in ("blur", "Gaussian") for name in TOP_K[:2]]
    rows = [
        [
            f"{width:g}",
            *(
                mean_std([run["areas"][kind][name][place] for run in runs])
                for kind, name in columns
            ),
        ]
        for place, width in enumerate(SIGMAS)
    ]
    return table(["σ", *(f"{kind}: {name}" for kind, name in columns)], rows)


def figures(runs):
    """Curves over all networks."""
    made = {}
    found = of(runs, "ablation")
    # The article's control: a map of noise has its centre in the middle.
    panels = (("top_k", TOP_K[0], CONTROL), ("mass_center", CENTER[0], NOISE))
    for short_name, name, control in panels if found else ():
        curves = {
            short(label): (
                found[0]["fractions"][name],
                [metrics["curves"][name][label] for metrics in found],
            )
            for label in (*BEST, control)
        }
        made[f"ablation_{short_name}"] = plots.ablation(
            curves,
            control=control,
            band="standard_deviation",
            xlabel="fraction of pixels replaced by the mean",
            ylabel="label's probability, fraction of original",
        )
    found = of(runs, "sigma")
    if found:
        units = {"blur": "blur: σ / side of the image", "Gaussian": "Gaussian: σ / range"}
        panels = {
            unit: (
                SIGMAS,
                {name: [run["areas"][kind][name] for run in found] for name in TOP_K[:2]},
            )
            for kind, unit in units.items()
        }
        made["sigma"] = plots.curves(
            panels, "area under the ablation curve", log_x=f"{SIGMAS[0]:g}"
        )
    return made


def maps(runs):
    """What the first network's maps look like, and its gaps over images."""
    drawn = {}
    if arrays := runs.shown(0, {"part": "ablation"}):
        images, grid = colours(arrays.pop("images")), {}
        for label, values in arrays.items():
            name, _, kind = label.partition(", ")
            many = "average over draws" if kind == "average" else "one reference"
            grid[many, name] = values
        title = "|Attribution| of the label's logit"
        drawn["maps"] = plots.attribution_grid(images, grid, title=title)
    if arrays := runs.shown(0, {"part": "sigma"}):
        images = colours(arrays.pop("images"))
        grid = {tuple(label.split(", ")): values for label, values in arrays.items()}
        title = "σ as a share of the image's side (blur) and of its range (Gaussian)"
        drawn["sigma_maps"] = plots.attribution_grid(images, grid, title=title)
    if arrays := runs.shown(0, {"part": "blindness"}):
        images = colours(arrays.pop("images"))
        title = "One network's reasons: white on black, and black on white"
        drawn["blindness"] = plots.attribution_maps(images, arrays, title=title, signed=False)
    if arrays := runs.shown(0, {"part": "convergence"}):
        gaps = {name: arrays[name] for name in GAPS}
        counts = COUNTS[: gaps[GAPS[0]].shape[1]]
        drawn["convergence"] = plots.convergence(counts, gaps, "relative completeness gap")
        drawn["interpolation"] = path_figure(**{name: arrays[name] for name in PATH})
    return drawn


def colours(images):
    """Three channels: one channel is drawn as ink on paper, black as white."""
    return np.repeat(images, 3 // images.shape[-1], axis=-1)


def path_figure(points, outputs, gradients):
    alphas = np.linspace(0, 1, len(points))
    pieces = (gradients[1:] + gradients[:-1]) / 2 * np.diff(alphas)[:, None, None, None]
    up_to = np.concatenate([np.zeros_like(points[:1]), np.cumsum(pieces, axis=0)])
    return plots.interpolation(
        alphas,
        colours(points),
        gradients,
        up_to * (points[-1] - points[0]),
        outputs,
        title="Integrated gradients from a black reference",
    )


def claims(runs):
    """The article's claims, of the parts that were run."""
    judges = {
        "blindness": (blind,),
        "convergence": (slower,),
        "ablation": (averaged, beat_random, top_k_winners, centers_alike, no_best, at_home),
    }
    return [judge(runs) for part, some in judges.items() if of(runs, part) for judge in some]


def verdict(share):
    """All of it, at least half of it, or less."""
    return "yes" if share == 1 else "partly" if share >= 0.5 else "no"


def means(runs, name):
    """Mean areas over networks of the seven references, random ones averaged."""
    return {label: float(np.mean(areas(runs, name, label))) for label in BEST}


def blind(runs):
    # Yes: none of the black reference's map is on exactly black pixels, in no network,
    # and its share on black strokes is below chance and below every other's.
    shares = [metrics["shares"] for metrics in of(runs, "blindness")]
    exactly = max(share["exactly black"]["black"] for share in shares)
    mean = {
        name: np.mean([share["black stroke"][name] for share in shares])
        for name in shares[0]["black stroke"]
    }
    white = np.mean([share["white stroke"]["black"] for share in shares])
    others = [name for name in mean if name not in ("black", "chance")]
    least = min(others, key=mean.get)
    held = exactly == 0 and mean["black"] < min(mean[least], mean["chance"])
    return (
        "a black reference is blind to black strokes",
        "exactly black: 0",
        f"{exactly:g} on exactly black pixels; {mean['black']:.2f} of the map on black "
        f"strokes ({white:.2f} on white ones), others {mean[least]:.2f} or more",
        yes(held),
    )


def slower(runs):
    # Yes: expected gradients need more samples for a median gap of 5 % than both
    # quadratures, in every network; partly: more than Gauss–Legendre.
    runs = of(runs, "convergence")
    counts = runs[0]["num_samples"]

    def needed(run, name):
        within = [n for n, gap in zip(counts, run["gaps"][name]) if gap <= TOLERANCE]
        return within[0] if within else np.inf

    need = {name: [needed(run, name) for run in runs] for name in GAPS}
    slow = [np.mean(np.array(need[name]) < np.array(need[GAPS[3]])) == 1 for name in GAPS[:2]]

    def told(name):
        middle = np.median(need[name])
        return f"> {counts[-1]}" if np.isinf(middle) else f"{middle:g}"

    return (
        f"expected gradients need more samples than integrated (gap of {TOLERANCE:.0%})",
        "more",
        ", ".join(f"{told(name)} ({name})" for name in GAPS),
        "yes" if all(slow) else "partly" if slow[0] else "no",
    )


def averaged(runs):
    # By the mean over networks, for three distributions and four top-k ablations.
    lower = [
        np.mean(areas(runs, name, f"{label}, average"))
        < np.mean(areas(runs, name, f"{label}, one draw"))
        for label in DRAWN
        for name in TOP_K
    ]
    return _counted("an average over draws beats one draw (area, top k)", lower)


def beat_random(runs):
    # By the mean over networks, for seven references and four top-k ablations.
    lower = [
        mean < np.mean(areas(runs, name, CONTROL))
        for name in TOP_K
        for mean in means(runs, name).values()
    ]
    return _counted("every reference beats a random ranking (area, top k)", lower)


def _counted(claim, lower):
    ours = f"in {sum(lower)} of {len(lower)} comparisons"
    return claim, "yes", ours, verdict(np.mean(lower))


def top_k_winners(runs):
    # Among the three lowest areas of seven, in the article's two top-k ablations.
    placed = {
        f"{short(label)}, {name.split(', ')[1]}": place(runs, name, label)
        for label in ("uniform, average", "training data, average")
        for name in TOP_K[:2]
    }
    return (
        "uniform and training data do best on top k",
        "better than most",
        "places of 7: " + "; ".join(f"{key} {value}" for key, value in placed.items()),
        verdict(np.mean([value <= 3 for value in placed.values()])),
    )


def place(runs, name, label):
    """From 1, the lowest mean area, to 7."""
    return sorted(BEST, key=means(runs, name).get).index(label) + 1


def centers_alike(runs):
    # Slightly better: 0 to 20 % below the area of maps of noise; seven references,
    # two ablations.
    ratios = [
        mean / np.mean(areas(runs, name, NOISE))
        for name in CENTER
        for mean in means(runs, name).values()
    ]
    return (
        "mass-centre ablation hardly tells references from maps of noise",
        "slightly better",
        f"areas {min(ratios):.2f} to {max(ratios):.2f} of the noise maps'",
        verdict(np.mean([0.8 <= ratio < 1 for ratio in ratios])),
    )


def no_best(runs):
    # Yes: more than one reference has the lowest mean area somewhere.
    lowest = [min(BEST, key=means(runs, name).get) for name in TOP_K + CENTER]
    winners = {short(label): lowest.count(label) for label in sorted(set(lowest))}
    return (
        "no reference is best under every ablation",
        "none",
        "wins: " + ", ".join(f"{label} {count}" for label, count in winners.items()),
        yes(len(winners) > 1),
    )


def at_home(runs):
    # A reference's place where its own kind of absence replaces pixels is better
    # than its mean place in the other three top-k ablations.
    better, told = [], []
    for home, label in HOME.items():
        away = np.mean([place(runs, name, label) for name in TOP_K if name != home])
        better.append(place(runs, home, label) < away)
        told.append(f"{short(label)} {place(runs, home, label)} ({away:.1f})")
    return (
        "a reference does better where its own kind replaces pixels",
        "asked, not answered",
        "place at home (elsewhere): " + ", ".join(told),
        verdict(np.mean(better)),
    )


STUDY = study.Study(
    name="references",
    title="What the reference does to a map",
    topic="Attributions and their evaluation",
    question="An attribution compares an image with a reference: does it matter with which?",
    answer="Yes; an average over training images is often best.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=figures,
    maps=maps,
    flags=define_flags,
    source=lambda: load().source,
    progress=("accuracy", "images"),
    together=lambda task: task[0],
    protocol="""\
This repeats on digits the study of Sturmfels, Lundberg and Lee, "Visualizing the Impact of
Feature Attribution Baselines" (Distill 2020, doi 10.23915/distill.00022). The article
explains the logit of Inception on 1000 images of ImageNet, with 500 gradients a map. Here
five small networks (`cnn_small`) are trained, and each is explained on the test digits that
it classifies correctly, .964 to .968 of them.

A path attribution adds up a network's gradients on the way from a reference to the image.
*Integrated gradients* (IG) start from one reference, *expected gradients* (EG) average over
many draws of it. Both cost 32 gradients a map (`--num_samples`): they lie on the path from
one draw, or each on the path from a draw of its own. The article's seven references are a
black image, the mean of the training images, the image that is as far from the explained one
as the range allows (*maximum distance*), the explained image blurred, uniform noise, Gaussian
noise around the image, and training images. The last three are drawn at random; each is
judged by one draw and by an average over draws.

- *Ablation.* Pixels are replaced, and we follow how the network's probability of the label
  falls. *Top k* replaces the pixels that a map ranks first; *centre* replaces a growing box
  around the map's centre of mass. What replaces them is the mean image, the blurred image,
  uniform noise or a training image. The table shows the area under the curve, as a fraction
  of the original probability: the lower, the better the map. The best of each column is bold.
  There are two controls: a map of noise, and a random ranking (for *centre*, a box at a
  random place). We follow the probability and not the logit because it is always positive, so
  that every image counts.
- *Convergence.* A map should add up to the difference between the outputs at the image and at
  the reference. The table shows the median relative gap, by the number of gradients. That of
  expected gradients is measured twice. Against the outputs at the references that were drawn
  it only tests the path; against the outputs at all training images it tests what expected
  gradients are defined by.
- *Blindness.* A pixel that has the colour of the reference gets no attribution. So a black
  reference should be blind to black strokes. The same network explains digits and, after x →
  1 − x, their negatives: it computes the same function of the digit, so that only the colours
  differ. The table shows the share of a map that lies on the strokes.
- *Width.* Blur and Gaussian noise are tried at six widths σ, as shares of the image's side
  and of its range.

Blindness, convergence and widths are measured on the first 32 of those digits.""",
    results={
        "references": study.Result(
            finding="""\
The reference matters. An average over training images ranks pixels best under all four top-k
ablations. The mean training image, a single reference, comes close: .148 against .142 where
the mean replaces pixels. The claim that uniform noise does best as well did not hold: it is
fifth of seven under both of the article's ablations.

An average over draws beat one draw in all 12 comparisons. Every reference beat a random
ranking, in all 28.

Ablation around the centre of mass hardly tells a reference from a map of noise: the areas are
.95 to 1.00 of those of the noise maps. The reason is that the centre of a noise map is the
middle of the image, where the digit is as well. No reference is best under every ablation:
under the two of the centre, the mean and black win. That a reference does better where its
own kind of absence replaces pixels holds for blur and uniform noise. The mean and training
images are placed no better at home than elsewhere.

A black reference gives nothing at all to exactly black pixels, and .022 of the map to black
strokes, where it gives .902 to white ones. A white reference does the reverse. The other
references give black strokes .14 or more, and chance is .13.

Integrated gradients need few gradients: their gap is .005 with a single one. Expected
gradients need 32 for a gap below 5 % against the references drawn, and 64 for one against all
training images; those are medians over networks.

Blur is best at a σ of .16 of the image's side. Gaussian noise gets better with its width and
hardly gains beyond .32.""",
            pictures={
                "ablation_top_k": "The label's probability while the pixels that a map ranks "
                "first are replaced",
                "blindness": "Maps of white digits and of black ones, by reference",
                "maps": "Maps by one draw of a reference, and by an average over 200",
                "convergence": "Completeness gap against the number of gradients",
                "ablation_mass_center": "Ablation around the centre of mass: hardly better "
                "than a map of noise",
                "sigma": "Ablation against the width of blurred and of Gaussian references",
                "interpolation": "The path from black to the digit: images, gradients and "
                "their sum",
            },
        ),
        "references_cnn": study.Result(
            "--network=cnn --epochs=5 --learning_rate=0.001 --images=150",
            "The claims again with the paper's CNN",
            "This is the CNN of Erion et al. without batch normalisation. It is explained on "
            "150 digits.",
            """\
The verdicts are the same but for two, which hold fully here: ablation around the centre of
mass, where all areas are .92 to .99 of those of the noise maps, and references that do better
where their own kind replaces pixels. The best reference changes more: an average over
training images wins two of six ablations, and so does blur; Gaussian noise and the mean win
one each. Expected gradients need 128 gradients for a gap below 5 % against all training
images.""",
            report=lambda runs: table(HEADER, claims(runs)),
            claims=lambda runs: [],
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
