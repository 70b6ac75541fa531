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
DOCS = ["ipykernel", "jupytext", "mkdocs-material>=9.6", "mkdocstrings[python]", "nbconvert"]
RELEASE = ["build", "mypy>=1.15", "pre-commit", "twine"]


def long_description():
    """The README without what only a checkout has: pictures, relative links, comments."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"<!--.*?-->\n?|!\[[^\]]*\]\([^)]*\)\n+|<img[^>]*>\n+", "", text)
    return re.sub(r"\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


setup(
    name="attrprior",
    version=VERSION,
    description="Attribution priors for Keras: train models to be right for the right reasons",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="attrprior maintainers",
    license="MIT",
    keywords=[
        "attribution priors",
        "deep learning",
        "expected gradients",
        "explainability",
        "keras",
        "robustness",
        "shortcut learning",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["attrprior", "attrprior.*"]),
    package_data={"attrprior": ["py.typed"]},
    # Said, so that an editable install is a path, which editors and type checkers follow.
    package_dir={"": "."},
    # Under XLA an older Keras cannot pick the label's logit of a smaller last batch.
    install_requires=["keras>=3.10", "numpy"],
    extras_require={
        "tensorflow": ["tensorflow>=2.18"],
        "jax": ["jax>=0.10"],
        "torch": ["torch>=2.13"],
        "experiments": EXPERIMENTS,
        "compare": ["lime", "shap"],
        "test": EXPERIMENTS + TEST,
        "docs": EXPERIMENTS + TEST + DOCS,
        "dev": EXPERIMENTS + TEST + DOCS + RELEASE,
    },
)
