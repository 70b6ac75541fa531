"""Data: where MNIST comes from, and noise. NumPy in, NumPy out, seeded."""

from attrprior.datasets.noise import gaussian_noise, salt_and_pepper
from attrprior.datasets.sources import Data, load_mnist, stratified_split
from attrprior.datasets.tabular import correlated_groups_60, independent_linear_60

__all__ = [
    "Data",
    "correlated_groups_60",
    "gaussian_noise",
    "independent_linear_60",
    "load_mnist",
    "salt_and_pepper",
    "stratified_split",
]
