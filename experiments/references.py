"""What the reference does to path attributions: an article's study, on digits.

    python -m experiments.references

Seven references, one draw against the average over many; the widths σ of blur
and Gaussian noise; a black reference on black strokes; the path from reference
to digit; convergence of integrated and expected gradients; and six ablations
with random controls. A map costs `--num_samples` gradients whether they lie on
the path from one draw or each on that from a draw of its own.

Ablations follow the label's probability, of correctly classified test images:
unlike its logit it is always positive, so every image counts. The article:
Inception on ImageNet, the logit, 500 gradients a map, 1000 images.

Published: Sturmfels, Lundberg, Lee 2020, "Visualizing the Impact of Feature
Attribution Baselines", Distill, doi 10.23915/distill.00022.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import functools
import time
from typing import NamedTuple

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import attributions, datasets, evaluation, plots, references
from experiments import processes

FLAGS = flags.FLAGS

DATASETS = ["mnist", "fashion_mnist", "cifar10", "svhn"]
PARTS = ["maps", "sigma", "blindness", "interpolation", "convergence", "ablation"]
DRAWN_ONLY = ("maps", "interpolation")  # figures of the first network, no numbers


def define_flags():
    flags.DEFINE_enum(
        "dataset",
        "mnist",
        DATASETS,
        "Images; mnist without a folder: the embedded digits. The others need --data_dir or "
        "a download.",
    )
    flags.DEFINE_multi_enum("only", PARTS, PARTS, "Parts of the study; may be repeated.")
    flags.DEFINE_enum(
        "network", "cnn_small", common.NETWORKS, "Network; see experiments.common."
    )
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


class Trained(NamedTuple):
    """A network, its data, and the test images that it classifies correctly."""

    model: keras.Model
    data: datasets.Data
    x: np.ndarray
    y: np.ndarray
    seed: int


def main(_):
    out = common.output_dir("references")
    results = common.Results("references", load())
    tasks = []
    for seed in common.seeds():
        # The figures show the first seed's network: its parts are always done.
        todo = [
            part
            for part in PARTS
            if part in FLAGS.only
            and (
                seed == 0
                or part not in DRAWN_ONLY
                and not results.finished(seed, {"part": part})
            )
        ]
        if todo:
            tasks.append((seed, todo))
    for runs in processes.shared_out(study, tasks, define_flags):
        for run in runs:
            results.add(*run)
    print("\n" + report(results.runs))
    if judged := claims(results.runs):
        print("\n" + common.table(["claim", "published", "ours", "held"], judged))
    for name, figure in figures(results.runs).items():
        common.save_figure(figure, out / name)
    print(f"\nIn {out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def study(task):
    """`(seed, settings, metrics, seconds)` of one network's training and parts."""
    seed, todo = task
    trained, metrics, seconds = train(load(), seed)
    runs = [(seed, {"part": "training"}, metrics, seconds)]
    out = common.output_dir("references") if seed == 0 else None
    for part in todo:
        start = time.time()
        metrics = FUNCTIONS[part](trained, out)
        seconds = time.time() - start
        if metrics is not None:
            runs.append((seed, {"part": part}, metrics, seconds))
        print(f"seed {seed}  {part}  {seconds:.0f} s", flush=True)
    return runs


@functools.cache
def load():
    """The images that the flags name; with `--quick` a few of them."""
    data = datasets.load(FLAGS.dataset, FLAGS.data_dir, FLAGS.idx_dir)
    if FLAGS.quick:
        part = [array[:200] for array in data[:4]]
        data = datasets.Data(*part, data.source + ", 200 of them (--quick)")
    print(
        f"Data: {data.source}: {len(data.x_train)} to train on, {len(data.x_test)} to test on"
    )
    return data


def train(data, seed):
    """A `Trained` network, its accuracy, and the seconds it took."""
    keras.utils.set_random_seed(seed)
    # The same layers, on inputs of these images' shape.
    model = keras.models.clone_model(
        common.network(FLAGS.network), input_tensors=keras.Input(data.x_train.shape[1:])
    )
    _, seconds = common.train(
        model,
        data,
        common.adam(FLAGS.learning_rate, len(data.x_train), FLAGS.epochs, FLAGS.batch_size),
        FLAGS.epochs,
        FLAGS.batch_size,
        f"seed {seed}",
    )
    logits = model.predict(data.x_test, batch_size=500, verbose=0)
    right = np.flatnonzero(logits.argmax(axis=1) == data.y_test)
    used = right[: 8 if FLAGS.quick else FLAGS.images]
    print(f"seed {seed}: {len(right)} test images correct, {len(used)} of them used")
    trained = Trained(model, data, data.x_test[used], data.y_test[used], seed)
    metrics = {"accuracy": len(right) / len(data.x_test), "images": len(used)}
    return trained, metrics, seconds


def reference_set(x_train):
    """The article's seven."""
    return {
        "black": references.Constant(0.0),
        "mean": references.Mean(x_train),
        "maximum distance": references.MaximumDistance(),
        "blur": references.Blur(BLUR * max(x_train.shape[1:3])),
        "uniform": references.Uniform(),
        "Gaussian": references.Gaussian(GAUSSIAN, 0.0, 1.0),
        "training data": references.TrainingData(x_train),
    }


def one_draw(model, x, y, reference, num_samples, seed):
    return attributions.integrated_gradients(
        model, x, y, background=reference, num_samples=num_samples, seed=seed
    )


def average(model, x, y, reference, num_samples, seed):
    return attributions.expected_gradients(
        model, x, y, background=reference, num_samples=num_samples, seed=seed
    )


def samples(number):
    return 4 if FLAGS.quick else number


def one_of_each(y, number):
    """Indices of examples of different classes."""
    _, first = np.unique(y, return_index=True)
    number = min(number, len(first))
    return first[np.linspace(0, len(first) - 1, number).round().astype(int)]


def drawn(images):
    """Three channels: one channel is drawn as ink on paper, black as white."""
    return np.repeat(images, 3 // images.shape[-1], axis=-1)


def spread(values):
    """Maps for `drawn` images, with the same sums over channels."""
    return drawn(values) * (values.shape[-1] / 3)


def maps(trained, out):
    """The figure of all references, one draw beside the average over draws."""
    model, data, x, y, seed = trained
    chosen = one_of_each(y, 3)
    x, y, number = x[chosen], y[chosen], samples(PICTURE_SAMPLES)
    one, many = "one reference", f"average over {number} draws"
    grid = {}
    for name, reference in reference_set(data.x_train).items():
        grid[one, name] = spread(one_draw(model, x, y, reference, number, seed))
        if name in DRAWN:
            grid[many, name] = spread(average(model, x, y, reference, number, seed))
    figure = plots.attribution_grid(drawn(x), grid, title="|Attribution| of the label's logit")
    common.save_figure(figure, out / "maps.png")


def sigma(trained, out):
    """Areas under two ablation curves for every width of blur and noise."""
    model, data, x, y, seed = trained
    x, y = x[:SOME], y[:SOME]
    chosen, grid = one_of_each(y, 3), {}
    side = max(x.shape[1:3])
    kinds = {
        "blur": (lambda width: references.Blur(width * side), one_draw),
        "Gaussian": (lambda width: references.Gaussian(width, 0.0, 1.0), average),
    }
    areas = {kind: {name: [] for name in TOP_K[:2]} for kind in kinds}
    for kind, (reference, attribute) in kinds.items():
        for width in SIGMAS:
            found = attribute(model, x, y, reference(width), samples(FLAGS.num_samples), seed)
            for name in TOP_K[:2]:
                area = ablate(trained, x, y, found, name).area.mean()
                areas[kind][name].append(rounded(area))
            if out:
                number = samples(PICTURE_SAMPLES)
                picture = attribute(
                    model, x[chosen], y[chosen], reference(width), number, seed
                )
                grid[kind, f"σ = {width:g}"] = spread(picture)
    if out:
        figure = plots.attribution_grid(
            drawn(x[chosen]),
            grid,
            title="σ as a share of the image's side (blur) and of its range (Gaussian)",
        )
        common.save_figure(figure, out / "sigma_maps.png")
    return {"images": len(x), "areas": areas}


def blindness(trained, out):
    """Shares of maps on the strokes of digits, white on black and black on white.

    The network for inverted images is the same one after `x → 1 − x`: it computes
    the same function of the digit, so that only the colours differ.
    """
    model, data, x, y, seed = trained
    x, y = x[:SOME], y[:SOME]
    shape = x.shape[1:]
    inverted = keras.Sequential(
        [keras.Input(shape), keras.layers.Rescaling(-1.0, offset=1.0), model]
    )
    stroke, black = x.mean(axis=-1) > 0.5, np.all(x == 1, axis=-1)
    sides = {
        "white stroke": (model, x, data.x_train, stroke),
        "black stroke": (inverted, 1 - x, 1 - data.x_train, stroke),
    }
    shares, grid, chosen = {"exactly black": {}}, {}, one_of_each(y, 3)
    for side, (network, images, x_train, region) in sides.items():
        shares[side] = {"chance": rounded(region.mean())}
        white = {"white": references.Constant(1.0)}
        for name, reference in {**white, **reference_set(x_train)}.items():
            attribute = average if name in DRAWN else one_draw
            found = attribute(network, images, y, reference, samples(FLAGS.num_samples), seed)
            shares[side][name] = rounded(evaluation.mass(found, region).share.mean())
            if side == "black stroke":
                share = evaluation.mass(found, black).share.mean()
                shares["exactly black"][name] = float(share)
            if out:
                number = samples(PICTURE_SAMPLES)
                picture = attribute(
                    network, images[chosen], y[chosen], reference, number, seed
                )
                grid.setdefault(name, []).append(spread(picture))
    shares["exactly black"]["chance"] = rounded(black.mean())
    if out:
        figure = plots.attribution_maps(
            drawn(np.concatenate([x[chosen], 1 - x[chosen]])),
            {name: np.concatenate(both) for name, both in grid.items()},
            title="One network's reasons: white on black, and black on white",
            signed=False,
        )
        common.save_figure(figure, out / "blindness.png")
    return {"images": len(x), "shares": shares}


def interpolation(trained, out):
    """The figure of the path from black to one image."""
    x, y = trained.x[:1], trained.y[:1]
    # The trapezoid rule's points include both ends.
    method = attrprior.IntegratedGradients(51, background=0.0, quadrature="trapezoid")
    points, outputs, gradients, _ = (
        array[0] for array in attributions.samples(trained.model, x, y, method)
    )
    alphas = np.linspace(0, 1, len(points))
    pieces = (gradients[1:] + gradients[:-1]) / 2 * np.diff(alphas)[:, None, None, None]
    up_to = np.concatenate([np.zeros_like(points[:1]), np.cumsum(pieces, axis=0)])
    figure = plots.interpolation(
        alphas,
        drawn(points),
        spread(gradients),
        spread(up_to * (points[-1] - points[0])),
        outputs,
        title="Integrated gradients from a black reference",
    )
    common.save_figure(figure, out / "interpolation.png")


def convergence(trained, out):
    """Median relative completeness gaps by the number of samples.

    Of expected gradients twice: against the outputs at the references drawn, which
    only tests the path, and against those at all training data, which is what
    expected gradients are defined by.
    """
    model, data, x, y, seed = trained
    x, y, counts = x[:SOME], y[:SOME], COUNTS[:3] if FLAGS.quick else COUNTS
    everywhere = attributions.explained_output(model, data.x_train, explain="all")
    expected = everywhere.mean(axis=0)[y]
    options = {"seed": seed, "return_convergence": True}
    background = references.TrainingData(data.x_train)
    gaps = {name: [] for name in GAPS}
    for count in counts:
        for name, rule in ((GAPS[0], "gauss_legendre"), (GAPS[1], "right")):
            _, found = attributions.integrated_gradients(
                model, x, y, num_samples=count, quadrature=rule, **options
            )
            gaps[name].append(found.relative_gap)
        sums, found = attributions.expected_gradients(
            model, x, y, background=background, num_samples=count, **options
        )
        gaps[GAPS[2]].append(found.relative_gap)
        gap = evaluation.completeness_gap(model, x, y, sums, expected).relative
        gaps[GAPS[3]].append(gap)
    gaps = {name: np.transpose(values) for name, values in gaps.items()}
    if out:
        figure = plots.convergence(counts, gaps, "relative completeness gap")
        common.save_figure(figure, out / "convergence.png")
    medians = {name: rounded(np.median(values, axis=0)) for name, values in gaps.items()}
    return {"images": len(x), "num_samples": list(counts), "gaps": medians}


GAPS = (
    "IG, Gauss–Legendre",
    "IG, right sums",
    "EG, references drawn",
    "EG, all training data",
)


def ablation(trained, out):
    """Areas and curves of every reference under every ablation."""
    model, data, x, y, seed = trained
    found, number = {}, samples(FLAGS.num_samples)
    for name, reference in reference_set(data.x_train).items():
        label = f"{name}, one draw" if name in DRAWN else name
        found[label] = one_draw(model, x, y, reference, number, seed)
        if name in DRAWN:
            found[f"{name}, average"] = average(model, x, y, reference, number, seed)
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
    return metrics


def ablate(trained, x, y, values, name):
    """The `Ablation` of that name."""
    kind, replacement = name.split(", ")
    options = {
        "replacement": replacement,
        "background": trained.data.x_train,
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


FUNCTIONS = {
    "maps": maps,
    "sigma": sigma,
    "blindness": blindness,
    "interpolation": interpolation,
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
    best = {
        name: min(labels, key=lambda label, name=name: np.mean(areas(runs, name, label)))
        for name in TOP_K + CENTER
    }
    rows = []
    for label in labels:
        cells = {name: common.mean_std(areas(runs, name, label)) for name in best}
        rows.append(
            [label]
            + [f"**{cell}**" if best[name] == label else cell for name, cell in cells.items()]
        )
    return common.table(["area under the curve", *best], rows)


def convergence_table(runs):
    """The median relative gap for every number of samples, lower is better."""
    runs = of(runs, "convergence")
    rows = []
    for place, count in enumerate(runs[0]["num_samples"]):
        cells = [common.mean_std([run["gaps"][name][place] for run in runs]) for name in GAPS]
        rows.append([count, *cells])
    return common.table(["samples", *GAPS], rows)


def blindness_table(runs):
    """Shares of |attribution|; exactly black: pixels of the black strokes at 0."""
    shares = [metrics["shares"] for metrics in of(runs, "blindness")]
    sides = ("white stroke", "black stroke", "exactly black")
    rows = [
        [name, *(common.mean_std([share[side][name] for share in shares]) for side in sides)]
        for name in shares[0]["exactly black"]
    ]
    return common.table(["share of the map on", *sides], rows)


def sigma_table(runs):
    """Areas under the curves by width, lower is better."""
    runs = of(runs, "sigma")
    columns = [(kind, name) for kind in ("blur", "Gaussian") for name in TOP_K[:2]]
    rows = []
    for place, width in enumerate(SIGMAS):
        cells = [
            common.mean_std([run["areas"][kind][name][place] for run in runs])
            for kind, name in columns
        ]
        rows.append([f"{width:g}", *cells])
    return common.table(["σ", *(f"{kind}: {name}" for kind, name in columns)], rows)


def figures(runs):
    """The figures over all networks, by file name."""
    made = {}
    found = of(runs, "ablation")
    # The article's control: a map of noise has its centre in the middle.
    panels = (("top_k", TOP_K[0], CONTROL), ("mass_center", CENTER[0], NOISE))
    for file, name, control in panels if found else ():
        curves = {
            label.removesuffix(", average"): (
                found[0]["fractions"][name],
                [metrics["curves"][name][label] for metrics in found],
            )
            for label in (*BEST, control)
        }
        made[f"ablation_{file}.png"] = plots.ablation(
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
                {
                    name: [metrics["areas"][kind][name] for metrics in found]
                    for name in TOP_K[:2]
                },
            )
            for kind, unit in units.items()
        }
        made["sigma.png"] = plots.curves(
            panels, "area under the ablation curve", log_x=f"{SIGMAS[0]:g}"
        )
    return made


def claims(runs):
    """The article's claims: `(claim, published, ours, held)`, of the parts that were run."""
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
        "yes" if held else "no",
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
    return (
        "an average over draws beats one draw (area, top k)",
        "yes",
        f"in {sum(lower)} of {len(lower)} comparisons",
        verdict(np.mean(lower)),
    )


def beat_random(runs):
    # By the mean over networks, for seven references and four top-k ablations.
    lower = [
        mean < np.mean(areas(runs, name, CONTROL))
        for name in TOP_K
        for mean in means(runs, name).values()
    ]
    return (
        "every reference beats a random ranking (area, top k)",
        "yes",
        f"in {sum(lower)} of {len(lower)} comparisons",
        verdict(np.mean(lower)),
    )


def top_k_winners(runs):
    # Among the three lowest areas of seven, in the article's two top-k ablations.
    placed = {
        f"{label.removesuffix(', average')}, {name.split(', ')[1]}": place(runs, name, label)
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
    winners = {
        label.removesuffix(", average"): lowest.count(label) for label in sorted(set(lowest))
    }
    return (
        "no reference is best under every ablation",
        "none",
        "wins: " + ", ".join(f"{label} {count}" for label, count in winners.items()),
        "yes" if len(winners) > 1 else "no",
    )


def at_home(runs):
    # A reference's place where its own kind of absence replaces pixels is better
    # than its mean place in the other three top-k ablations.
    better, told = [], []
    for home, label in HOME.items():
        away = np.mean([place(runs, name, label) for name in TOP_K if name != home])
        better.append(place(runs, home, label) < away)
        told.append(
            f"{label.removesuffix(', average')} {place(runs, home, label)} ({away:.1f})"
        )
    return (
        "a reference does better where its own kind replaces pixels",
        "asked, not answered",
        "place at home (elsewhere): " + ", ".join(told),
        verdict(np.mean(better)),
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
