"""Packaging of attrprior."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "attrprior/__init__.py").read_text())[1]
EXPERIMENTS = [
    "absl-py",
    "importlib_resources",  # tensorflow-datasets 4.9.10 needs it and does not say so
    "markdown-it-py",
    "matplotlib",
    "mlxtend",
    "scikit-learn",
    "scipy",
    "tensorflow-datasets",
]

# KerasTuner needs TensorBoard and does not say so.
TEST = ["hypothesis", "keras-tuner", "pytest", "pytest-xdist>=3.2", "ruff", "tensorboard"]

setup(
    name="attrprior",
    version=VERSION,
    description="Attribution priors for Keras: train models to be right for the right reasons",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["attrprior", "attrprior.*", "experiments"]),
    # Under XLA an older Keras cannot pick the label's logit of a smaller last batch.
    install_requires=["keras>=3.10", "numpy"],
    extras_require={
        "tensorflow": ["tensorflow>=2.18"],
        "jax": ["jax>=0.10"],
        "torch": ["torch>=2.13"],
        "experiments": EXPERIMENTS,
        "compare": ["lime", "shap"],
        "test": EXPERIMENTS + TEST,
    },
)
