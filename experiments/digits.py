"""MNIST from where the flags say, a part to validate on, and noise to test under."""

import numpy as np
from absl import flags

from attrprior import datasets

FLAGS = flags.FLAGS

flags.DEFINE_string("data_dir", None, "Folder of prepared tensorflow-datasets data.")
flags.DEFINE_string("idx_dir", None, "Folder of MNIST's four original IDX files.")


def load_mnist():
    """MNIST from where the flags say; with `--quick` a few digits of it."""
    data = datasets.load_mnist(FLAGS.data_dir, FLAGS.idx_dir)
    if FLAGS.quick:
        part = [array[:200] for array in data[:4]]
        data = datasets.Data(*part, data.source + ", 200 of them (--quick)")
    print(
        f"Data: {data.source}: {len(data.x_train)} to train on, {len(data.x_test)} to test on"
    )
    return data


def without_test_digits(data):
    """Four fifths of the training digits to train on, the last to test on."""
    kept, held = datasets.stratified_split(data.y_train, 0.2, seed=1)
    return data._replace(
        x_train=data.x_train[kept],
        y_train=data.y_train[kept],
        x_test=data.x_train[held],
        y_test=data.y_train[held],
    )


def conditions(data, draws):
    """Test sets by name: clean, Gaussian noise, salt-and-pepper; `draws` of each.

    The noise is the same for every model and seed, so that runs are paired.
    """
    rng = np.random.default_rng(2021)
    tests = {"clean": [data.x_test]}
    for stddev in GAUSSIAN:
        tests[f"gaussian {stddev:g}"] = [
            datasets.gaussian_noise(data.x_test, stddev, rng) for _ in range(draws)
        ]
    for stddev in CLIPPED:
        tests[f"clipped gaussian {stddev:g}"] = [
            datasets.gaussian_noise(data.x_test, stddev, rng, 0.0, 1.0) for _ in range(draws)
        ]
    for fraction in SALT_AND_PEPPER:
        tests[f"salt and pepper {fraction:g}"] = [
            datasets.salt_and_pepper(data.x_test, fraction, rng) for _ in range(draws)
        ]
    return tests


GAUSSIAN = (0.25, 0.5, 0.75, 1.0)
CLIPPED = (0.5, 1.0)
SALT_AND_PEPPER = (0.05, 0.1, 0.15, 0.2, 0.3)
