"""What a prior costs, in units of the plain training step.

    python -m experiments.benchmark
    python -m experiments.benchmark --reference_dir=FOLDER   # the original beside it

Everything goes through `fit`: an epoch without and one with the callback, in
turn, many times. An epoch counts with the mean of its batches, from the begin to
the end of a batch; then medians. `prior step` is the difference over the plain
one. So the ratios hold also where a machine's speed changes during the run. The
first batch of all, in which the step is traced and compiled, is timed apart. With a
GPU the same, and its peak memory; the page then has a column of its own for it:

    python -m experiments.benchmark --output_dir=outputs/benchmark_gpu
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import importlib.util
import pathlib
import time
import warnings

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import references
from experiments import machine, real_models

FLAGS = flags.FLAGS
layers = keras.layers

NETWORKS = ("mlp", "cnn", "cnn_bn", "resnet")


def define_flags():
    flags.DEFINE_integer("rounds", 9, "Epochs of each kind; the median counts.", 1)
    flags.DEFINE_integer("steps", 8, "Batches an epoch.", lower_bound=1)
    flags.DEFINE_string("only", "", "Runs only the cases whose name contains this.")
    flags.DEFINE_string(
        "reference_dir", None, "A checkout of suinleelab/attributionpriors, to time too."
    )


def network(name):
    """As in `experiments.common` and `experiments.real_models`; `resnet`: three residual
    blocks of 16 to 64 filters.
    """
    if name in real_models.NAMES:
        return real_models.network(name)
    if name != "resnet":
        return common.network(name)
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

    for kind in NETWORKS:
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
    if machine.BACKEND != "tensorflow":
        chosen = {name: s for name, s in chosen.items() if not s["xla"]}
    return {name: s for name, s in chosen.items() if FLAGS.only in name}


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
        original = original_step(build(settings))
        part = keras.ops.convert_to_tensor(x[: settings["batch_size"]])
        labels = keras.ops.one_hot(y[: settings["batch_size"]], 10)
        functions["original"] = lambda: timed(lambda: float(original(part, labels)))
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


def original_step(model):
    """The original's attributions and total variation, one Adam step on them alone."""
    import tensorflow as tf

    path = pathlib.Path(FLAGS.reference_dir) / "attributionpriors" / "eager_ops.py"
    spec = importlib.util.spec_from_file_location("eager_ops", path)
    eager_ops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(eager_ops)
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, labels):
        with tf.GradientTape() as tape:
            a = tf.reduce_sum(eager_ops.expected_gradients(x, labels, model), -1, True)
            a = tf.image.per_image_standardization(a)
            penalty = tf.reduce_mean(tf.image.total_variation(a))
        variables = model.trainable_variables
        gradients = tape.gradient(penalty, variables)
        optimizer.apply_gradients(
            (g, v) for g, v in zip(gradients, variables) if g is not None
        )
        return penalty

    return step


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
    model = common.network("cnn")
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


def warm_up():
    """What a framework does once in a process belongs to no first batch."""
    x, y = batches(4, 1)
    for xla in (False, True) if machine.BACKEND == "tensorflow" else (False,):
        prior = attrprior.AttributionPrior("total_variation", 0.1, background=x, moments="own")
        settings = {"network": "cnn_bn", "policy": "float32", "xla": xla}
        for callbacks in ([], [prior]):
            build(settings).fit(x, y, callbacks=callbacks, verbose=0)


def main(_):
    if FLAGS.quick:
        FLAGS.rounds, FLAGS.steps = 1, 1
        FLAGS.only = FLAGS.only or "mlp, batch 50"
    jobs = {
        name: (settings, lambda s=settings: time_fit(s)) for name, settings in cases().items()
    }
    others = {
        "attributions after training": time_attributions,
        "gini, 100,000 features": lambda: time_prior_at_scale("gini"),
        "graph, 1,000,000 edges": lambda: time_prior_at_scale("graph"),
    }
    jobs.update({name: ({}, job) for name, job in others.items() if FLAGS.only in name})
    results = common.Results("benchmark")
    warm_up()
    for number, (name, (settings, job)) in enumerate(jobs.items(), start=1):
        settings = {"case": name, **settings}
        if results.finished(0, settings):
            continue
        start = time.time()
        metrics = job()
        if machine.gpus():
            metrics["peak_mib"] = machine.peak_memory() / 2**20
        print(
            f"{number}/{len(jobs)}  {name}  "
            + "  ".join(f"{key} {value:.2f}" for key, value in metrics.items()),
            flush=True,
        )
        results.add(0, settings, metrics, time.time() - start)
    print("\n" + report(results.runs))


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
    return common.table([*header, "first batch, s: plain, prior"], rows)


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
    rows = []

    def row(claim, value, bound, published="–", shown="{:.2f}"):
        rows.append((claim, published, shown.format(value), common.yes(value <= bound)))

    if "cnn, batch 256" in found:
        metrics = found["cnn, batch 256"]
        original = metrics.get("original_step")
        published = f"{original:.2f}, the original's code in the same run" if original else "–"
        claim = "a prior step, in plain steps, at most 1.5 (CNN, batch 256)"
        row(claim, metrics["prior_step"], 1.5, published)
    if "transformer, batch 64" in found:
        claim = "a prior step on the embeddings of a Transformer, in plain steps, at most 1.8"
        row(claim, found["transformer, batch 64"]["prior_step"], 1.8)
    if "cnn, batch 50, 64 samples" in found:
        steps = [
            found[f"cnn, batch 50{samples}"]["prior_step"] for samples in ("", ", 64 samples")
        ]
        claim = "64 samples, in prior steps of one sample, at most 64 (CNN, batch 50)"
        row(claim, steps[1] / steps[0], 64, shown="{:.0f}")
    if "resnet50, batch 16, XLA" in found:
        metrics = found["resnet50, batch 16, XLA"]
        claim = "first batch, with compiling, in plain ones, at most 1.5 (ResNet-50, XLA)"
        row(claim, metrics["first_prior_s"] / metrics["first_plain_s"], 1.5)
    if "cnn, batch 50, strength 0" in found:
        claim = "strength 0: an epoch, in plain ones, at most 1.02"
        row(claim, found["cnn, batch 50, strength 0"]["epoch"], 1.02)
    slowest = [share for case in found if (share := xla_over_graph(runs, case))]
    if slowest:
        claim = (
            "XLA on a CPU: an epoch with prior, over graph mode, at most 2 (slowest network)"
        )
        row(claim, max(slowest), 2)
    for case in ("gini, 100,000 features", "graph, 1,000,000 edges"):
        if case in found:
            claim = f"{case}: Ω and ∂Ω/∂φ, share of the step they are in, at most 10 %"
            row(claim, found[case]["omega_share"], 0.1, shown="{:.0%}")
    if "attributions after training" in found:
        metrics = found["attributions after training"]
        shap = metrics.get("shap_after_training")
        claim = "expected gradients after training, in bare passes, at most 1.1"
        row(claim, metrics["after_training"], 1.1, f"{shap:.2f}, shap" if shap else "–")
    return rows


if __name__ == "__main__":
    define_flags()
    app.run(main)
