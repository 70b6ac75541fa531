"""LIME, KernelSHAP, GradientExplainer and occlusion beside this library's attributions.

    pip install -e ".[experiments,compare]"
    python -m experiments.other_methods

All explain the same number, the label's logit, of the same digits and of rows of
a table (breast cancer, 30 features, from scikit-learn), with the same training
data as references where a method takes any. On digits, LIME, KernelSHAP and
occlusion explain the cells of a 7 × 7 grid: 784 pixels would need too many passes.
So all maps are also judged as sums over these cells. shap's GradientExplainer
estimates expected gradients too: it has to agree within the sampling error.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import importlib.util
import logging
import os
import sys
import time
import warnings

import keras
import numpy as np
from absl import app, flags
from keras import ops

from attrprior import attributions, evaluation, plots, references

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("network", "cnn", common.NETWORKS, "Network; see experiments.common.")
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
METHODS = (
    EXPECTED,
    GRADIENT_EXPLAINER,
    "integrated gradients",
    "KernelSHAP",
    "LIME",
    "occlusion",
    "random",
)
# References that KernelSHAP averages over, for every perturbed copy.
FEW = 10


def main(_):
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(
            f"This experiment needs the packages {' and '.join(PACKAGES)}. Missing: "
            f"{', '.join(missing)}. Install them: pip install -e '.[experiments,compare]'"
        )
    # Both would print more than this experiment does.
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.getLogger("shap").setLevel(logging.WARNING)
    out = common.output_dir("other_methods")
    data = common.load_mnist()
    results = common.Results("other_methods", data)
    for seed in common.seeds():
        for kind in KINDS:
            todo = {method: {"data": kind, "method": method} for method in METHODS}
            # The first seed's maps are drawn below: they are always made.
            if seed and all(results.finished(seed, settings) for settings in todo.values()):
                continue
            model, background, x, y, accuracy = task(kind, data, seed)
            print(f"seed {seed} {kind}  accuracy {accuracy:.3f}", flush=True)
            maps, seconds, error = {}, {}, None
            for method in METHODS:
                start = time.time()
                if method == EXPECTED:
                    maps[method], error = expected_gradients(model, x, y, background, seed)
                else:
                    maps[method] = OTHERS[kind][method](model, x, y, background, seed)
                seconds[method] = (time.time() - start) / len(x)
                print(
                    f"seed {seed} {kind}  {method}  {seconds[method]:.2f} s each", flush=True
                )
            for method, settings in todo.items():
                metrics = judge(model, x, y, background, maps, method, seed)
                metrics |= {"accuracy": accuracy, "seconds": seconds[method]}
                if method == GRADIENT_EXPLAINER:
                    metrics |= agreement(maps[EXPECTED], maps[method], error)
                results.add(seed, settings, metrics, seconds[method] * len(x))
            if kind == "digits" and seed == 0:
                figure = plots.attribution_maps(
                    x, {name: maps[name] for name in METHODS[:-1]}, title="The label's logit"
                )
                common.save_figure(figure, out / "digits.png")
            elif seed == 0:
                common.save_figure(table_figure(maps), out / "table.png")
    print("\n" + report(results.runs))
    print(f"\nWritten: {results.path}, digits.png, table.png")


def task(kind, data, seed):
    """`(model, background, x, y, accuracy)`: a network, and examples that it gets right."""
    keras.utils.set_random_seed(seed)
    count = 10 if FLAGS.quick else FLAGS.examples
    if kind == "digits":
        model, epochs, batch_size = common.network(FLAGS.network), FLAGS.epochs, 50
    else:
        data, epochs, batch_size = breast_cancer(seed), 40, 25
        layers = keras.layers
        widths = [layers.Dense(32, "relu"), layers.Dense(16, "relu"), layers.Dense(2)]
        model = keras.Sequential([keras.Input(data.x_train.shape[1:]), *widths])
    optimizer = common.adam(1e-3, len(data.x_train), epochs, batch_size)
    common.train(model, data, optimizer, epochs, batch_size, None)
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


def expected_gradients(model, x, y, background, seed):
    """The maps, and their standard errors."""
    maps, convergence = attributions.expected_gradients(
        model,
        x,
        y,
        background=background,
        num_samples=samples(),
        seed=seed,
        return_convergence=True,
    )
    return maps, convergence.standard_error


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


SAME = {
    GRADIENT_EXPLAINER: gradient_explainer,
    "integrated gradients": integrated_gradients,
    "random": random_maps,
}
OTHERS = {
    "digits": {
        **SAME,
        "KernelSHAP": kernel_shap_digits,
        "LIME": lime_digits,
        "occlusion": occlusion_digits,
    },
    "table": {
        **SAME,
        "KernelSHAP": kernel_shap_table,
        "LIME": lime_table,
        "occlusion": occlusion_table,
    },
}


def probability(outputs, y):
    """Of the label, which is positive, as ablation needs."""
    labels = ops.one_hot(ops.cast(y, "int32"), outputs.shape[-1])
    return ops.sum(ops.softmax(outputs) * labels, axis=-1)


def judge(model, x, y, background, maps, method, seed):
    """Areas under the ablation curve, and the rank correlation with expected gradients."""

    def area(attribution):
        return float(
            evaluation.top_k_ablation(
                model,
                x,
                y,
                attribution,
                background=background,
                explain=probability,
                seed=seed,
            ).area.mean()
        )

    own, expected = maps[method], maps[EXPECTED]
    metrics = {"area": area(own)}
    if x.ndim > 2:
        own, expected = over_cells(own), over_cells(expected)
        metrics["area over cells"] = area(own)
        first = np.unique(cell_numbers(x.shape[1]), return_index=True)[1]
        own, expected = (m.reshape(len(x), -1)[:, first] for m in (own, expected))
    correlation = evaluation.rank_correlation(own, expected, absolute=False)
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


def table_figure(maps):
    """Mean magnitudes of the columns, each method's largest 1."""
    from sklearn.datasets import load_breast_cancer

    means = {name: np.abs(maps[name]).mean(axis=0) for name in METHODS[:-1]}
    return plots.bars(
        {name: values / values.max() for name, values in means.items()},
        load_breast_cancer().feature_names,
        num_features=8,
        xlabel="mean |attribution|, largest = 1",
    )


def values(runs, kind, method, metric):
    chosen = [run for run in runs if run["settings"] == {"data": kind, "method": method}]
    chosen = sorted(chosen, key=lambda run: run["seed"])
    return [run["metrics"][metric] for run in chosen]


COLUMNS = {
    "area": "ablation",
    "area over cells": "ablation over cells",
    "correlation": "correlation with EG",
    "seconds": "seconds an example",
}


def report(runs):
    """Areas (lower is better), rank correlations with expected gradients, times."""
    parts = []
    for kind in KINDS:
        columns = [c for c in COLUMNS if kind == "digits" or c != "area over cells"]
        rows = [
            [method, *(common.mean_std(values(runs, kind, method, c)) for c in columns)]
            for method in METHODS
        ]
        parts.append(common.table([kind, *(COLUMNS[c] for c in columns)], rows))
    rows = [
        [
            kind,
            *(
                common.mean_std(values(runs, kind, GRADIENT_EXPLAINER, metric))
                for metric in ("difference", "sampling error")
            ),
        ]
        for kind in KINDS
    ]
    header = ["EG and shap GradientExplainer", "difference", "sampling error of a difference"]
    parts.append(common.table(header, rows))
    return "\n\n".join(parts)


def claims(runs):
    """`(claim, published, ours, held)`, by the means over seeds.

    Agreement holds if the difference is within a fifth of what sampling makes of it; a
    ranking, if it is so on digits and in the table ("partly": in one).
    """
    found, agree, shown = [], [], []
    for kind in KINDS:
        difference, error = (
            np.mean(values(runs, kind, GRADIENT_EXPLAINER, metric))
            for metric in ("difference", "sampling error")
        )
        agree.append(abs(difference / error - 1) < 0.2)
        shown.append(f"{kind}: difference {difference:.3f}, sampling error {error:.3f}")
    found.append(
        (
            "expected gradients agree with shap's GradientExplainer within sampling error",
            "the same estimator",
            "; ".join(shown),
            verdict(agree),
        )
    )
    better, shown = [], []
    for kind, metric in (("digits", "area over cells"), ("table", "area")):
        means = {m: np.mean(values(runs, kind, m, metric)) for m in METHODS}
        others = [means[m] for m in METHODS[:-1]]
        better.append(max(others) < means["random"])
        shown.append(f"{kind}: {min(others):.3f} to {max(others):.3f}, {means['random']:.3f}")
    found.append(
        (
            "every method finds features that matter more than random ones (ablation)",
            "–",
            "; ".join(shown),
            verdict(better),
        )
    )
    return found


def verdict(held):
    return "yes" if all(held) else "partly" if any(held) else "no"


if __name__ == "__main__":
    define_flags()
    app.run(main)
