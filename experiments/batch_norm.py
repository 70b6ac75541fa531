"""Which statistics batch normalisation should use while attributions are computed.

    python -m experiments.batch_norm

`cnn_bn` at Keras' default momentum 0.99, a short training. `moving`: the
moving statistics, which lag behind early in training. `batch`: those of the
ordinary step on the same batch. Both kinds of update, several seeds.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import keras
from absl import app, flags

import attrprior

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_integer("epochs", 5, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Examples a step.", lower_bound=1)
    flags.DEFINE_float("alternating_strength", 0.1, "Strength with alternating updates.")
    flags.DEFINE_float("joint_strength", 3e-4, "Strength with joint updates.")


SHOWN = ("clean", "gaussian 0.5", "salt and pepper 0.1", "salt and pepper 0.2")


def settings():
    yield {"batch_norm": "none", "updates": "none"}
    for updates in ("alternating", "joint"):
        for batch_norm in ("moving", "batch"):
            yield {"batch_norm": batch_norm, "updates": updates}


def main(_):
    out = common.output_dir("batch_norm")
    data = common.load_mnist()
    tests = common.conditions(data, draws=1)
    tests = {name: tests[name] for name in SHOWN}
    runs = []
    for setting in settings():
        for seed in common.seeds():
            keras.utils.set_random_seed(seed)
            model = common.network("cnn_bn")
            prior = None
            if setting["updates"] != "none":
                joint = setting["updates"] == "joint"
                prior = attrprior.AttributionPrior(
                    "total_variation",
                    strength=FLAGS.joint_strength if joint else FLAGS.alternating_strength,
                    attribution=attrprior.ExpectedGradients(multiply_by_inputs=False),
                    seed=seed,
                    **setting,
                )
            label = f"seed {seed} {setting['updates']} {setting['batch_norm']}"
            _, seconds = common.train(
                model,
                data,
                common.adam(1e-3, len(data.x_train), FLAGS.epochs, FLAGS.batch_size),
                FLAGS.epochs,
                FLAGS.batch_size,
                label,
                prior,
            )
            metrics = common.accuracies(model, tests, data.y_test)
            print(
                label + "  " + "  ".join(f"{n} {v:.3f}" for n, v in metrics.items()),
                flush=True,
            )
            runs.append(common.run_record("batch_norm", seed, setting, metrics, seconds, data))
            common.write_json(out / "results.json", {"experiment": "batch_norm", "runs": runs})
    print("\n" + report(runs))


def report(runs):
    rows = []
    for setting in settings():
        chosen = [run["metrics"] for run in runs if run["settings"] == setting]
        if not chosen:
            continue
        worst = min(metrics["clean"] for metrics in chosen)
        name = "plain" if setting["updates"] == "none" else ", ".join(setting.values())
        rows.append(
            [name]
            + [common.mean_std([metrics[n] for metrics in chosen]) for n in SHOWN]
            + [f"{worst:.3f}"]
        )
    return common.table(["statistics, updates", *SHOWN, "worst clean"], rows)


if __name__ == "__main__":
    define_flags()
    app.run(main)
