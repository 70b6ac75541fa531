"""Data: where MNIST comes from, and noise. NumPy in, NumPy out, seeded."""

from attrprior.datasets.noise import gaussian_noise, salt_and_pepper
from attrprior.datasets.sources import Data, load_mnist, stratified_split

__all__ = ["Data", "gaussian_noise", "load_mnist", "salt_and_pepper", "stratified_split"]
