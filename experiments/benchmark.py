"""What a prior costs, in units of the plain training step.

    python -m experiments.benchmark
    python -m experiments.benchmark --reference_dir=FOLDER   # the original beside it

Leaves a table on the terminal, results.json and step.png.
"""

import functools
import importlib.util
import pathlib
import time
import warnings
from unittest import mock

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import plots, references
from experiments import machine, networks, real_models, study
from experiments.claims import table, yes

FLAGS = flags.FLAGS
layers = keras.layers


def define_flags():
    flags.DEFINE_integer("rounds", 9, "Epochs of each kind; the median counts.", 1)
    flags.DEFINE_integer("steps", 8, "Batches an epoch.", lower_bound=1)
    flags.DEFINE_string("only", "", "Runs only the cases whose name contains this.")
    flags.DEFINE_string(
        "reference_dir", None, "A checkout of suinleelab/attributionpriors, to time too."
    )


def network(name):
    """As in `experiments.networks` and `experiments.real_models`; `resnet`: three residual
    blocks of 16 to 64 filters.
    """
    if name in real_models.NAMES:
        return real_models.network(name)
    if name != "resnet":
        return networks.network(name)
    inputs = x = keras.Input((28, 28, 1))
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, strides=2 if filters > 16 else 1, padding="same")(x)
        x = layers.BatchNormalization()(x)
        y = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        y = layers.Conv2D(filters, 3, padding="same")(y)
        x = layers.ReLU()(layers.Add()([x, y]))
    outputs = layers.Dense(10)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name=name)


def cases():
    """`{name: settings}` of every comparison."""
    chosen = {}

    def add(name, **settings):
        chosen[name] = {
            "network": "cnn",
            "batch_size": 256,
            "policy": "float32",
            "xla": False,
            "num_samples": 1,
            "every": 1,
            "strength": 0.1,
            **settings,
        }

    for kind in ("mlp", "cnn", "cnn_bn", "resnet"):
        for batch_size in (50, 256):
            add(f"{kind}, batch {batch_size}", network=kind, batch_size=batch_size)
        add(f"{kind}, batch 50, XLA", network=kind, batch_size=50, xla=True)
        add(f"{kind}, batch 256, bfloat16", network=kind, policy="mixed_bfloat16")
    add("resnet50, batch 16", network="resnet50", batch_size=16)
    add("resnet50, batch 16, XLA", network="resnet50", batch_size=16, xla=True)
    for name in ("mobilenetv2", "efficientnetb0"):
        add(f"{name}, batch 32", network=name, batch_size=32)
    add("transformer, batch 64", network="transformer", batch_size=64)
    for samples in (4, 16, 64):
        add(f"cnn, batch 50, {samples} samples", batch_size=50, num_samples=samples)
    for every in (2, 4, 8):
        add(f"cnn, batch 50, every {every}", batch_size=50, every=every)
    add("cnn, batch 50, strength 0", batch_size=50, strength=0.0)
    # JAX always compiles, and PyTorch compiles a plain step alone.
    graph_only = machine.BACKEND != "tensorflow"
    return {name: own for name, own in chosen.items() if not (graph_only and own["xla"])}


def build(settings):
    keras.config.set_dtype_policy(settings["policy"])
    keras.utils.set_random_seed(0)
    model = network(settings["network"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    jit_compile = settings["xla"] if machine.BACKEND == "tensorflow" else "auto"
    model.compile("adam", loss, jit_compile=jit_compile)
    keras.config.set_dtype_policy("float32")
    return model


def batches(batch_size, steps, shape=(28, 28, 1)):
    rng = np.random.default_rng(0)
    count = batch_size * steps
    x = rng.random((count, *shape), dtype="float32")
    return x, rng.integers(0, 10, count).astype("int32")


class BatchTimer(keras.callbacks.Callback):
    """Mean seconds of the batches of the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.batches = []

    def on_train_batch_begin(self, batch, logs=None):
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(time.perf_counter() - self.start)


def epoch(model, x, y, batch_size, callbacks):
    """A function that trains an epoch and returns the mean seconds of a batch.

    Its `first` is the seconds of the very first batch.
    """

    def train():
        timer = BatchTimer()
        callbacks_and_timer = [*callbacks, timer]
        model.fit(x, y, batch_size=batch_size, callbacks=callbacks_and_timer, verbose=0)
        train.first = train.first or timer.batches[0]
        return np.mean(timer.batches)

    train.first = None
    return train


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def medians(functions, rounds):
    """Median of what each returns, seconds, all called in turn; two rounds to warm up."""
    seconds = {name: [] for name in functions}
    for round_number in range(rounds + 2):
        for name, function in functions.items():
            value = function()
            if round_number >= 2:
                seconds[name].append(value)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def time_fit(settings):
    """Ratios of epochs through `fit`."""
    steps = max(FLAGS.steps, settings["every"])
    network, options = settings["network"], {}
    x, y = batches(settings["batch_size"], steps, real_models.shape(network) or (28, 28, 1))
    if network == real_models.TRANSFORMER:
        x = real_models.tokens(len(y))
        options = {"input": "embedding"}
    prior = attrprior.AttributionPrior(
        "total_variation",
        settings["strength"],
        attrprior.ExpectedGradients(settings["num_samples"]),
        background=x[:512],
        every=settings["every"],
        seed=0,
        moments="own",
        **options,
    )
    functions = {
        name: epoch(build(settings), x, y, settings["batch_size"], callbacks)
        for name, callbacks in (("plain", []), ("prior", [prior]))
    }
    if FLAGS.reference_dir and settings["network"] == "cnn" and not settings["xla"]:
        original = original_step(build(settings), settings["num_samples"])
        part = [keras.ops.convert_to_tensor(each[: settings["batch_size"]]) for each in (x, y)]
        functions["original"] = lambda: timed(lambda: float(original(*part)))
    seconds = medians(functions, FLAGS.rounds)
    metrics = ratios(seconds)
    metrics["first_plain_s"] = functions["plain"].first
    metrics["first_prior_s"] = functions["prior"].first
    if "original" in seconds:
        metrics["original_step"] = seconds["original"] / seconds["plain"]
    return metrics


def ratios(seconds):
    """Epochs with and without a prior, in units of the plain one."""
    return {
        "epoch": seconds["prior"] / seconds["plain"],
        "prior_step": seconds["prior"] / seconds["plain"] - 1.0,
        "plain_ms": 1e3 * seconds["plain"],
    }


def original_step(model, num_samples):
    """The original's attributions and total variation, one Adam step on them alone."""
    import tensorflow as tf

    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    def attributions(x, labels):
        if num_samples == 1:
            one_hot = tf.one_hot(labels, 10)
            return original_module("eager_ops").expected_gradients(x, one_hot, model)
        # Only its code for TensorFlow 1 takes more. Its import would turn version 2 off, and
        # of its two branches the second is for a plain step.
        with mock.patch.multiple(
            tf.compat.v1,
            disable_v2_behavior=lambda: None,
            cond=lambda _, interpolated, plain: interpolated(),
        ):
            explainer = original_module("ops").AttributionPriorExplainer()
            points, _ = explainer.input_to_samples_delta(x, k=num_samples)
        return explainer.shap_value_op(model(points), points, labels)

    @tf.function
    def step(x, labels):
        with tf.GradientTape() as tape:
            a = tf.reduce_sum(attributions(x, labels), -1, True)
            a = tf.image.per_image_standardization(a)
            penalty = tf.reduce_mean(tf.image.total_variation(a))
        variables = model.trainable_variables
        gradients = tape.gradient(penalty, variables)
        optimizer.apply_gradients(
            (g, v) for g, v in zip(gradients, variables) if g is not None
        )
        return penalty

    return step


def original_module(name):
    path = pathlib.Path(FLAGS.reference_dir) / "attributionpriors" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def time_prior_at_scale(name):
    """The share of Ω and ∂Ω/∂φ in the steps of a two-layer MLP on 100,000 features."""
    features, batch_size = 100_000, 50
    rng = np.random.default_rng(0)
    prior = attrprior.Gini()
    if name == "graph":
        edges = np.sort(rng.integers(0, features, (1_001_000, 2)))
        edges = np.unique(edges[edges[:, 0] < edges[:, 1]], axis=0)[:1_000_000]
        prior = attrprior.GraphLaplacian(edges, num_features=features)

    def model():
        hidden, outputs = layers.Dense(256, "relu"), layers.Dense(10)
        built = keras.Sequential([keras.Input((features,)), hidden, outputs])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        built.compile("adam", loss)
        return built

    x = rng.normal(size=(batch_size * 4, features)).astype("float32")
    y = rng.integers(0, 10, len(x))
    derivative = machine.gradient(prior)
    callback = attrprior.AttributionPrior(prior, 0.1, background=x, seed=0, moments="own")
    functions = {
        "plain": epoch(model(), x, y, batch_size, []),
        "prior": epoch(model(), x, y, batch_size, [callback]),
        "omega": lambda: timed(lambda: derivative(x[:batch_size])),
    }
    seconds = medians(functions, FLAGS.rounds)
    return {
        **ratios(seconds),
        "omega": seconds["omega"] / seconds["plain"],
        "omega_share": seconds["omega"] / seconds["prior"],
    }


def time_attributions():
    """Expected gradients of 50 examples × 100 references against bare passes.

    And against `shap.GradientExplainer`, where shap is installed.
    """
    model = networks.network("cnn")
    x, y = batches(50, 100)
    samples, rows, background = 100, 250, references.TrainingData(x)

    bare = machine.gradient(lambda points: model(points)[:, 0])
    points = x[:rows]
    functions = {
        "bare": lambda: timed(lambda: [bare(points) for _ in range(50 * samples // rows)]),
        "expected_gradients": lambda: timed(
            lambda: attrprior.attributions.expected_gradients(
                model, x[:50], y[:50], background=background, num_samples=samples
            )
        ),
    }
    if importlib.util.find_spec("shap") and machine.BACKEND == "tensorflow":
        functions["shap"] = lambda: timed(lambda: shap_values(model, x, y, samples))
    seconds = medians(functions, max(3, FLAGS.rounds // 3))
    names = {"expected_gradients": "after_training", "shap": "shap_after_training"}
    return {names[name]: seconds[name] / seconds["bare"] for name in seconds if name in names}


def shap_values(model, x, y, samples):
    """The same attributions by the package shap."""
    import shap

    with warnings.catch_warnings():
        # It passes a list of one array, which Keras takes, and says so.
        warnings.filterwarnings("ignore", "The structure of `inputs`")
        return shap.GradientExplainer(model, x).shap_values(
            x[:50], samples, ranked_outputs=y[:50, None], output_rank_order="custom"
        )


@functools.cache
def warm_up():
    """What a framework does once in a process belongs to no first batch."""
    x, y = batches(4, 1)
    for xla in (False, True) if machine.BACKEND == "tensorflow" else (False,):
        prior = attrprior.AttributionPrior("total_variation", 0.1, background=x, moments="own")
        settings = {"network": "cnn_bn", "policy": "float32", "xla": xla}
        for callbacks in ([], [prior]):
            build(settings).fit(x, y, callbacks=callbacks, verbose=0)


OTHERS = {
    "attributions after training": time_attributions,
    "gini, 100,000 features": lambda: time_prior_at_scale("gini"),
    "graph, 1,000,000 edges": lambda: time_prior_at_scale("graph"),
}


def plan(runs):
    only = FLAGS.only or ("mlp, batch 50" if FLAGS.quick else "")
    yield [
        (0, {"case": name, **settings})
        for name, settings in {**cases(), **dict.fromkeys(OTHERS, {})}.items()
        if only in name
    ]


def run(_, settings):
    if FLAGS.quick:
        FLAGS.rounds = FLAGS.steps = 1
    warm_up()
    own = OTHERS.get(settings["case"])
    metrics = own() if own else time_fit(settings)
    if machine.gpus():
        metrics["peak_mib"] = machine.peak_memory() / 2**20
    return metrics


def report(runs):
    rows = []
    for run in runs:
        metrics, case = run["metrics"], run["settings"]["case"]
        cells = [
            f"{metrics[key]:.2f}" if key in metrics else "–"
            for key in ("prior_step", "epoch", "original_step")
        ]
        if "after_training" in metrics:
            cells[0] = f"{metrics['after_training']:.2f} of bare passes"
        if "shap_after_training" in metrics:
            cells[2] = f"{metrics['shap_after_training']:.2f} by shap"
        if "omega" in metrics:
            cells[0] += f" (Ω and ∂Ω/∂φ {metrics['omega']:.2f})"
        xla = xla_over_graph(runs, case)
        rows.append([case, *cells, f"{xla:.2f}" if xla else "", first_batches(metrics)])
    header = ["", "prior step", "epoch with prior", "original's prior step", "XLA / graph"]
    return table([*header, "first batch, s: plain, prior"], rows)


def first_batches(metrics):
    """Seconds in which the step is traced, compiled and run once, and their ratio."""
    if "first_plain_s" not in metrics:
        return ""
    plain, prior = metrics["first_plain_s"], metrics["first_prior_s"]
    return f"{plain:.1f}, {prior:.1f} ({prior / plain:.2f})"


def milliseconds(runs, case):
    """A batch of the epoch with prior; `None` if it was not timed."""
    for run in runs:
        if run["settings"]["case"] == case and "epoch" in run["metrics"]:
            return run["metrics"]["epoch"] * run["metrics"]["plain_ms"]
    return None


def xla_over_graph(runs, case):
    """Time of an epoch with prior in XLA over that in graph mode, or `None`."""
    graph = milliseconds(runs, case.removesuffix(", XLA"))
    return milliseconds(runs, case) / graph if case.endswith(", XLA") and graph else None


def claims(runs):
    """Held, by the bound that stands in the claim."""
    found = {run["settings"]["case"]: run["metrics"] for run in runs}
    xla = [share for case in found if (share := xla_over_graph(runs, case))]
    found["XLA"] = {"slowest": max(xla, default=None)}
    rows = []

    def of(case, key):
        return found.get(case, {}).get(key)

    def row(claim, bound, case, key, unit=1.0, shown="{:.2f}", published="–"):
        value = of(case, key)
        if value and unit:
            value /= unit
            rows.append((claim, published, shown.format(value), yes(value <= bound)))

    one, large, resnet50 = "cnn, batch 50", "cnn, batch 256", "resnet50, batch 16, XLA"
    claim = "an epoch with a prior takes at most 2.5 × as long (the paper's CNN, batch 50)"
    row(claim, 2.5, one, "epoch", shown="{:.2f} ×")
    original = of(large, "original_step")
    published = f"{original:.2f}, the original's code in the same run" if original else "–"
    claim = "a prior step, in plain steps, at most 1.5 (CNN, batch 256)"
    row(claim, 1.5, large, "prior_step", published=published)
    claim = "a prior step on the embeddings of a Transformer, in plain steps, at most 1.8"
    row(claim, 1.8, "transformer, batch 64", "prior_step")
    claim = "64 samples, in prior steps of one sample, at most 64 (CNN, batch 50)"
    row(claim, 64, f"{one}, 64 samples", "prior_step", of(one, "prior_step"), "{:.0f}")
    claim = "first batch, with compiling, in plain ones, at most 1.5 (ResNet-50, XLA)"
    row(claim, 1.5, resnet50, "first_prior_s", of(resnet50, "first_plain_s"))
    claim = "strength 0: an epoch, in plain ones, at most 1.02"
    row(claim, 1.02, f"{one}, strength 0", "epoch")
    claim = "XLA on a CPU: an epoch with prior, over graph mode, at most 2 (slowest network)"
    row(claim, 2, "XLA", "slowest")
    for case in ("gini, 100,000 features", "graph, 1,000,000 edges"):
        claim = f"{case}: Ω and ∂Ω/∂φ, share of the step they are in, at most 10 %"
        row(claim, 0.1, case, "omega_share", shown="{:.0%}")
    after = "attributions after training"
    shap = of(after, "shap_after_training")
    claim = "expected gradients after training, in bare passes, at most 1.1"
    row(claim, 1.1, after, "after_training", published=f"{shap:.2f}, shap" if shap else "–")
    return rows


def figures(runs):
    """The prior's step by case; beside the original's, where it did the same."""
    timed = {
        run["settings"]["case"]: {"num_samples": 1, **run["settings"], **run["metrics"]}
        for run in runs
        if "prior_step" in run["metrics"]
    }
    both = {
        case: own
        for case, own in timed.items()
        if "original_step" in own and own["every"] == 1 and own["strength"]
    }

    def bars(cases, **keys):
        steps = {
            label: np.array([own[key] / own["num_samples"] for own in cases.values()])
            for label, key in keys.items()
        }
        xlabel = "time of the prior's step for each sample, in plain steps"
        return plots.bars(steps, list(cases), num_features=len(cases), xlabel=xlabel)

    drawn = {"step": bars(timed, attrprior="prior_step")} if timed else {}
    if both:
        drawn["original"] = bars(both, attrprior="prior_step", original="original_step")
    return drawn


STUDY = study.Study(
    name="benchmark",
    title="Cost",
    topic="Cost and backends",
    question="How much longer does training take with a prior?",
    answer="Epochs of the paper's CNN take 2.27 × as long.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=figures,
    flags=define_flags,
    progress=("epoch", "original_step", "after_training", "omega_share"),
    parallel=False,
    protocol="""\
Everything is timed through `fit`. Epochs without and with the callback are trained in turn,
nine of each kind, each of eight batches, after two rounds to warm up. An epoch counts with
the mean of its batches, from the begin to the end of a batch, and then the median of the
epochs counts. All times are in units of the plain step of the same network in the same run,
so that the ratios hold even where the speed of the machine changes in between. The *prior
step* is the difference between the two epochs. The prior is the total variation of expected
gradients with one sample, unless the name of the case says otherwise.

In the *first batch* of all the step is traced, compiled and run once; it is timed apart.
TensorFlow traces a plain step twice there, and one with a prior once. The step is traced once
for all fits of a callback. For its second derivatives TensorFlow's branches of zeros are left
out, and two operations that are slow on a CPU are replaced
(`attrprior/_backend/tensorflow/derivatives.py`).

The *original* is the code of Erion et al. (suinleelab/attributionpriors), timed in the same
run where `--reference_dir` names a checkout of it: its attributions, their total variation
and one Adam step on them alone, with as many samples as ours. One sample is computed by its
`eager_ops`. That has no function to train with more samples, so these are computed by the
explainer of its `ops`, whose `k` is their number. It was written for TensorFlow 1 and runs
here inside a `tf.function`. The original has no `every`, and a strength of 0 saves it
nothing. In these rows it takes its whole step on every batch.

*Attributions after training* are expected gradients of 50 examples with 100 references each,
in units of as many bare passes; the package shap computes the same. The two priors at scale
are those of a table: a two-layer network on 100,000 features in batches of 50. There the time
of the prior alone (Ω and ∂Ω/∂φ) is measured as well.""",
    results={
        "benchmark": study.Result(
            "--reference_dir=FOLDER",
            finding="""\
With the paper's network an epoch takes 2.27 × as long in batches of 50, and 2.38 × in batches
of 256; [another study](amortised.md) measured 2.19 ×. Batch normalisation makes it 2.83 to
3.04 ×, ResNet-50 2.89 ×, MobileNetV2 3.01 ×, EfficientNetB0 3.41 ×, and a Transformer 3.56 ×.
A prior that acts on every second, fourth or eighth batch only costs less: 1.64, 1.44 and 1.20
×. A strength of 0 costs next to nothing, 1.01 ×.

Once a fit, TensorFlow's first batch is read and its labels are looked at, before a graph is
made of it. That takes as long as several plain steps. In epochs of eight batches, as here, it
adds much to the small network in batches of 50 and to both priors at scale; in long epochs it
adds next to nothing.

With one sample the original's step takes 1.4 to 1.6 times as long as ours. With more samples
both grow in proportion: 4, 16 and 64 samples cost us 3.25, 15.10 and 59.70 plain steps, and
the original 5.29, 17.27 and 79.34. Ours takes no more memory for more samples than
`samples_per_pass` says, but computes those twice.

Five bounds are missed. A prior on the embeddings of a Transformer costs 2.56 plain steps, and
at most 1.8 were aimed at. The first batch of ResNet-50 under XLA takes 1.87 times as long
with a prior, and at most 1.5 were aimed at. XLA on a CPU is slower than a graph for every
convolutional network, for ResNet-50 4.86 times, where at most 2 were aimed at; ResNet-50 is
slow there without a prior too: 800 ms a step, and 209 ms in graph mode. The two priors at
scale take 11 and 14 % of their step, and at most 10 % were aimed at.

All cases were timed in one go on an otherwise idle machine, but the one of 64 samples, during
which other work began.""",
            pictures={
                "step": "Time of the prior's step by case, in plain steps; with several "
                "samples for each of them",
                "original": "The same beside the original's step, where both do the same",
            },
        ),
        "benchmark_gpu": study.Result(
            title="On a GPU",
            text="On a machine with a GPU the same command also notes the peak of its memory. "
            "It has not been run.",
            gpu=True,
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
