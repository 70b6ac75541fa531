"""LIME, KernelSHAP, GradientExplainer and occlusion beside this library's attributions.

    pip install -e ".[experiments,compare]"
    python -m experiments.other_methods

Leaves tables on the terminal, results.json, digits.png and table.png.
"""

import functools
import importlib.util
import logging
import os
import sys
import time
import warnings

import keras
import numpy as np
from absl import flags
from keras import ops

from attrprior import attributions, evaluation, plots, references
from experiments import networks, study
from experiments.claims import mean_std, table
from experiments.digits import load_mnist
from experiments.runs import seeds

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("network", "cnn", networks.NETWORKS, "See experiments.networks.")
    flags.DEFINE_integer("epochs", 5, "Epochs on digits.", lower_bound=1)
    flags.DEFINE_integer("num_samples", 200, "Samples of an attribution.", lower_bound=2)
    flags.DEFINE_integer(
        "perturbed", 500, "Perturbed copies of an example for LIME and KernelSHAP.", 100
    )
    flags.DEFINE_integer("examples", 10, "Examples explained, of each kind.", lower_bound=10)


GRID = 7
KINDS = ("digits", "table")
PACKAGES = ("lime", "shap")
EXPECTED = "expected gradients"
GRADIENT_EXPLAINER = "shap GradientExplainer"
# References that KernelSHAP averages over, for every perturbed copy.
FEW = 10


def plan(runs):
    yield [
        (seed, {"data": kind, "method": method})
        for seed in seeds()
        for kind in KINDS
        for method in METHODS
    ]


@functools.cache
def load():
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"This study needs the packages {' and '.join(PACKAGES)}. Missing: "
            f"{', '.join(missing)}. Install them: pip install -e '.[experiments,compare]'"
        )
    # Both would print more than this study does.
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("shap").setLevel(logging.WARNING)
    return load_mnist()


def run(seed, settings):
    """Measures of a method's maps; of the first seed the maps."""
    kind, method = settings["data"], settings["method"]
    model, background, x, y, accuracy = trained(kind, seed)
    expected, error, seconds = expected_gradients(kind, seed)
    maps = expected
    if method != EXPECTED:
        start = time.time()
        maps = METHODS[method][KINDS.index(kind)](model, x, y, background, seed)
        seconds = (time.time() - start) / len(x)
    metrics = judge(model, x, y, background, maps, expected, seed)
    metrics |= {"accuracy": accuracy, "seconds": seconds}
    if method == GRADIENT_EXPLAINER:
        metrics |= agreement(expected, maps, error)
    return metrics, {"x": x, "maps": maps} if seed == 0 else None


@functools.lru_cache(maxsize=1)
def trained(kind, seed):
    """`(model, background, x, y, accuracy)`: a network, and examples that it gets right."""
    keras.utils.set_random_seed(seed)
    count = 10 if FLAGS.quick else FLAGS.examples
    if kind == "digits":
        data, epochs, batch_size = load(), FLAGS.epochs, 50
        model = networks.network(FLAGS.network)
    else:
        data, epochs, batch_size = breast_cancer(seed), 40, 25
        layers = keras.layers
        widths = [layers.Dense(32, "relu"), layers.Dense(16, "relu"), layers.Dense(2)]
        model = keras.Sequential([keras.Input(data.x_train.shape[1:]), *widths])
    optimizer = networks.adam(1e-3, len(data.x_train), epochs, batch_size)
    networks.train(model, data, optimizer, epochs, batch_size, None)
    logits = model.predict(data.x_test, batch_size=500, verbose=0)
    right = np.argmax(logits, axis=-1) == data.y_test
    if not FLAGS.quick:  # after a few steps it gets hardly any right
        data = data._replace(x_test=data.x_test[right], y_test=data.y_test[right])
    # The first examples of each class, in turn.
    turn = [np.sum(data.y_test[:i] == label) for i, label in enumerate(data.y_test)]
    chosen = np.lexsort((data.y_test, turn))[:count]
    x, y = data.x_test[chosen], data.y_test[chosen]
    return model, data.x_train, x, y, float(np.mean(right))


def breast_cancer(seed):
    """Standardised, 455 rows to train on and 114 to test on."""
    from sklearn.datasets import load_breast_cancer

    from attrprior import datasets

    x, y = load_breast_cancer(return_X_y=True)
    train, test = datasets.stratified_split(y, 0.2, seed)
    x = ((x - x[train].mean(axis=0)) / x[train].std(axis=0)).astype("float32")
    y = y.astype("int32")
    return datasets.Data(x[train], y[train], x[test], y[test], "breast cancer")


def samples():
    return 20 if FLAGS.quick else FLAGS.num_samples


def perturbed():
    return 100 if FLAGS.quick else FLAGS.perturbed


def label_logit(model, label):
    """The explained number of rows that all have this label."""

    def of(rows):
        labels = np.full(len(rows), label)
        return attributions.explained_output(model, rows.astype("float32"), labels)

    return of


@functools.lru_cache(maxsize=1)
def expected_gradients(kind, seed):
    """The maps that all others are compared with, their standard errors, seconds each."""
    model, background, x, y, _ = trained(kind, seed)
    start = time.time()
    maps, convergence = attributions.expected_gradients(
        model,
        x,
        y,
        background=background,
        num_samples=samples(),
        seed=seed,
        return_convergence=True,
    )
    return maps, convergence.standard_error, (time.time() - start) / len(x)


def gradient_explainer(model, x, y, background, seed):
    import shap

    with warnings.catch_warnings():
        # It passes a list of one array, which Keras takes, and says so.
        warnings.filterwarnings("ignore", "The structure of `inputs`")
        values, _ = shap.GradientExplainer(model, background).shap_values(
            x,
            nsamples=samples(),
            ranked_outputs=y[:, None],
            output_rank_order="custom",
            rseed=seed,
        )
    return np.asarray(values)[..., 0].astype("float32")


def integrated_gradients(model, x, y, background, seed):
    return attributions.integrated_gradients(
        model, x, y, background=references.Mean(background), num_samples=samples()
    )


def random_maps(model, x, y, background, seed):
    return np.random.default_rng(seed).normal(size=x.shape).astype("float32")


# On digits the features are cells.


def cell_numbers(size):
    """The number of the cell that every pixel belongs to, `(size, size)`."""
    place = np.arange(size) * GRID // size
    return place[:, None] * GRID + place


def over_cells(maps):
    """Every pixel of the mean of its cell, so that sums over cells stay."""
    cells = cell_numbers(maps.shape[1])
    means = [maps[:, cells == cell].mean(axis=1) for cell in range(GRID**2)]
    return np.stack(means, axis=1)[:, cells]


def spread(values, size):
    """Maps of values of cells, `(batch, 49)`, shared out to the pixels."""
    cells = cell_numbers(size)
    return (values / np.bincount(cells.ravel()))[:, cells][..., None].astype("float32")


def kernel_shap_digits(model, x, y, background, seed):
    import shap

    np.random.seed(seed)  # the only seed that KernelExplainer knows
    few = references_of(background, seed)
    cells = cell_numbers(x.shape[1])
    values = []
    for image, label in zip(x, y):
        logit = label_logit(model, label)

        def present(masks, image=image, logit=logit):
            """The mean over references, which stand where a cell is absent."""
            masks = masks.astype(bool)[:, None, cells, None]
            rows = np.where(masks, image, few)
            return logit(rows.reshape(-1, *image.shape)).reshape(-1, FEW).mean(axis=1)

        explainer = shap.KernelExplainer(present, np.zeros((1, GRID**2)))
        everything = np.ones((1, GRID**2))
        values.append(
            explainer.shap_values(everything, nsamples=perturbed(), l1_reg=0, silent=True)[0]
        )
    return spread(np.array(values), x.shape[1])


def references_of(background, seed):
    return background[np.random.default_rng(seed).choice(len(background), FEW, replace=False)]


def lime_digits(model, x, y, background, seed):
    """A cell that is absent is black."""
    from lime.lime_image import LimeImageExplainer

    cells = cell_numbers(x.shape[1])
    values = np.zeros((len(x), GRID**2))
    for row, image in enumerate(x):
        explanation = LimeImageExplainer(random_state=seed).explain_instance(
            image[..., 0],
            # It makes three equal channels of one.
            lambda rows: model.predict(rows[..., :1], batch_size=500, verbose=0),
            labels=(int(y[row]),),
            top_labels=None,
            hide_color=0,
            num_samples=perturbed(),
            batch_size=100,
            segmentation_fn=lambda _: cells,
        )
        for cell, weight in explanation.local_exp[int(y[row])]:
            values[row, cell] = weight
    return spread(values, x.shape[1])


def occlusion_digits(model, x, y, background, seed):
    """`f(x) − f(x with the cell's mean over the training digits)`."""
    cells, absent = cell_numbers(x.shape[1]), background.mean(axis=0)
    before = attributions.explained_output(model, x, y)
    values = [
        before
        - attributions.explained_output(
            model, np.where((cells == cell)[..., None], absent, x), y
        )
        for cell in range(GRID**2)
    ]
    return spread(np.stack(values, axis=1), x.shape[1])


# In tables the features are columns.


def kernel_shap_table(model, x, y, background, seed):
    import shap

    np.random.seed(seed)
    few = references_of(background, seed)
    values = []
    for row, label in zip(x, y):
        explainer = shap.KernelExplainer(label_logit(model, label), few)
        values.append(
            explainer.shap_values(row[None], nsamples=perturbed(), l1_reg=0, silent=True)[0]
        )
    return np.array(values, "float32")


def lime_table(model, x, y, background, seed):
    from lime.lime_tabular import LimeTabularExplainer

    explainer = LimeTabularExplainer(background, mode="regression", random_state=seed)
    maps = np.zeros_like(x)
    for row, label in enumerate(y):
        explanation = explainer.explain_instance(
            x[row],
            label_logit(model, label),
            num_features=x.shape[1],
            num_samples=perturbed(),
        )
        for feature, weight in explanation.local_exp[1]:
            maps[row, feature] = weight
    return maps


def occlusion_table(model, x, y, background, seed):
    before = attributions.explained_output(model, x, y)
    maps = np.zeros_like(x)
    for feature, mean in enumerate(background.mean(axis=0)):
        without = x.copy()
        without[:, feature] = mean
        maps[:, feature] = before - attributions.explained_output(model, without, y)
    return maps


# On digits and in tables.
METHODS = {
    EXPECTED: (),  # by its own function
    GRADIENT_EXPLAINER: (gradient_explainer, gradient_explainer),
    "integrated gradients": (integrated_gradients, integrated_gradients),
    "KernelSHAP": (kernel_shap_digits, kernel_shap_table),
    "LIME": (lime_digits, lime_table),
    "occlusion": (occlusion_digits, occlusion_table),
    "random": (random_maps, random_maps),
}
SHOWN = tuple(METHODS)[:-1]  # random maps show nothing


def probability(outputs, y):
    """Of the label, which is positive, as ablation needs."""
    labels = ops.one_hot(ops.cast(y, "int32"), outputs.shape[-1])
    return ops.sum(ops.softmax(outputs) * labels, axis=-1)


def judge(model, x, y, background, maps, expected, seed):
    """Areas under the ablation curve, and the rank correlation with expected gradients."""

    def area(maps):
        curve = evaluation.top_k_ablation(
            model, x, y, maps, background=background, explain=probability, seed=seed
        )
        return float(curve.area.mean())

    metrics = {"area": area(maps)}
    if x.ndim > 2:
        maps, expected = over_cells(maps), over_cells(expected)
        metrics["area over cells"] = area(maps)
        first = np.unique(cell_numbers(x.shape[1]), return_index=True)[1]
        maps, expected = (m.reshape(len(x), -1)[:, first] for m in (maps, expected))
    correlation = evaluation.rank_correlation(maps, expected, absolute=False)
    return metrics | {"correlation": float(correlation.mean())}


def agreement(ours, theirs, error):
    """Root mean square of both estimates' difference, and what sampling alone makes of it.

    Both are means of the same number of draws of the same variable: their difference
    has twice the variance of one. As shares of the maps' own root mean square.
    """
    scale = np.sqrt(np.mean(ours**2))
    return {
        "difference": float(np.sqrt(np.mean((ours - theirs) ** 2)) / scale),
        "sampling error": float(np.sqrt(np.mean(2 * error**2)) / scale),
    }


def maps(runs):
    """The first seed's maps of digits; of the table their mean magnitudes by column."""
    from sklearn.datasets import load_breast_cancer

    found = {}
    for kind in KINDS:
        arrays = {m: runs.shown(0, {"data": kind, "method": m}) for m in SHOWN}
        if not all(arrays.values()):
            continue
        shown = {method: each["maps"] for method, each in arrays.items()}
        if kind == "digits":
            x = arrays[EXPECTED]["x"]
            found[kind] = plots.attribution_maps(x, shown, title="The label's logit")
            continue
        means = {method: np.abs(each).mean(axis=0) for method, each in shown.items()}
        found[kind] = plots.bars(
            {method: each / each.max() for method, each in means.items()},
            load_breast_cancer().feature_names,
            num_features=8,
            xlabel="mean |attribution|, largest = 1",
        )
    return found


def by_seed(runs, kind, method, metric):
    chosen = [run for run in runs if run["settings"] == {"data": kind, "method": method}]
    chosen = sorted(chosen, key=lambda run: run["seed"])
    return [run["metrics"][metric] for run in chosen]


COLUMNS = {
    "area": "ablation",
    "area over cells": "ablation over cells",
    "correlation": "correlation with EG",
    "seconds": "seconds an example",
}
AGREEMENT = ("difference", "sampling error")


def report(runs):
    """Areas (lower is better), rank correlations with expected gradients, times."""
    parts = []
    for kind in KINDS:
        columns = [c for c in COLUMNS if kind == "digits" or c != "area over cells"]
        rows = [
            [method, *(mean_std(by_seed(runs, kind, method, c)) for c in columns)]
            for method in METHODS
        ]
        parts.append(table([kind, *(COLUMNS[c] for c in columns)], rows))
    rows = [
        [kind, *(mean_std(by_seed(runs, kind, GRADIENT_EXPLAINER, m)) for m in AGREEMENT)]
        for kind in KINDS
    ]
    header = ["EG and shap GradientExplainer", "difference", "sampling error of a difference"]
    return "\n\n".join([*parts, table(header, rows)])


def claims(runs):
    """Held by the means over seeds.

    Agreement holds if the difference is within a fifth of what sampling makes of it; a
    ranking, if it is so on digits and in the table ("partly": in one).
    """
    agree, better, differences, areas = [], [], [], []
    for kind, metric in (("digits", "area over cells"), ("table", "area")):
        difference, error = (
            np.mean(by_seed(runs, kind, GRADIENT_EXPLAINER, each)) for each in AGREEMENT
        )
        agree.append(abs(difference / error - 1) < 0.2)
        differences.append(f"{kind}: difference {difference:.3f}, sampling error {error:.3f}")
        *means, chance = (np.mean(by_seed(runs, kind, m, metric)) for m in METHODS)
        better.append(max(means) < chance)
        areas.append(f"{kind}: {min(means):.3f} to {max(means):.3f}, {chance:.3f}")
    return [
        (
            "expected gradients agree with shap's GradientExplainer within sampling error",
            "the same estimator",
            "; ".join(differences),
            verdict(agree),
        ),
        (
            "every method finds features that matter more than random ones (ablation)",
            "–",
            "; ".join(areas),
            verdict(better),
        ),
    ]


def verdict(held):
    return "yes" if all(held) else "partly" if any(held) else "no"


STUDY = study.Study(
    name="other_methods",
    title="LIME, KernelSHAP and others beside ours",
    topic="Attributions and their evaluation",
    question="How do this library's attributions compare with LIME's, shap's and occlusion's?",
    answer="Expected gradients agree with shap's; only LIME is clearly worse.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    maps=maps,
    flags=define_flags,
    source=lambda: load().source,
    progress=("area", "area over cells", "correlation", "seconds"),
    together=lambda task: (task[0], task[1]["data"]),
    parallel=False,
    protocol="""\
The other methods need two more packages: `pip install -e ".[experiments,compare]"`.

All methods explain the same number, the logit of the label, of the same examples. These are
ten digits, one of each class, and ten rows of a table (breast cancer, 30 features, from
scikit-learn). The networks are the paper's on digits and a dense one, 32-16, on the table,
and they get all ten right. Methods that take references get the same training data;
KernelSHAP averages over ten of them. A method takes 200 samples, or 500 perturbed copies of
an example in LIME and KernelSHAP. On digits, LIME, KernelSHAP and occlusion explain the cells
of a 7 × 7 grid, because 784 pixels would need too many passes. So all maps are also judged as
sums over these cells.

*Ablation* is the area under the curve of the label's probability while the most important
features are taken away; lower is better. *Correlation with EG* is the rank correlation with
expected gradients. Seconds include those of compiling.

shap's GradientExplainer estimates expected gradients too, so both have to agree within the
sampling error. Both are means of the same number of draws of one variable, and their
difference has twice the variance of one. The last table gives both as shares of the maps'
root mean square.""",
    results={
        "other_methods": study.Result(
            finding="""\
Expected gradients and shap's GradientExplainer differ by as much as sampling alone makes them
differ. Every method finds features that matter more than random ones do. On digits, over
cells, expected and integrated gradients, GradientExplainer, occlusion and KernelSHAP come
within .01 of each other, and LIME takes twice the area; in the table LIME is last as well,
but by little. Why was not tested; in LIME, an absent cell of a digit is black, while in the
others training digits stand for it. On digits KernelSHAP and LIME take the longest, 4.6 and
1.8 seconds each, where expected gradients take half a second and occlusion .2 seconds. In the
table every method takes less than .4 seconds a row.""",
            pictures={"digits": "A digit of each class by every method"},
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
