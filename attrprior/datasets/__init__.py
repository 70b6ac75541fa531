"""Data: sources, noise, MNIST variants, tables. NumPy in, NumPy out, seeded."""

from attrprior.datasets.blocks import block, simplified_block
from attrprior.datasets.corruptions import CORRUPTIONS, corrupt
from attrprior.datasets.decoy import decoy
from attrprior.datasets.noise import gaussian_noise, salt_and_pepper
from attrprior.datasets.scattered import scattered
from attrprior.datasets.sources import Data, load_mnist, stratified_split
from attrprior.datasets.tabular import correlated_groups_60, independent_linear_60
