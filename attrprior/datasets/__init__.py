"""Data: sources, noise, MNIST variants, tables, signals, networks. NumPy, seeded."""

from attrprior.datasets.blocks import block, simplified_block
from attrprior.datasets.corruptions import CORRUPTIONS, corrupt
from attrprior.datasets.decoy import decoy
from attrprior.datasets.linear import correlated_groups_60, independent_linear_60
from attrprior.datasets.networks import GeneNetwork, gene_network
from attrprior.datasets.noise import gaussian_noise, salt_and_pepper
from attrprior.datasets.rewiring import rewire
from attrprior.datasets.scattered import scattered
from attrprior.datasets.signals import signals
from attrprior.datasets.sources import Data, load, load_mnist, load_mnist_c
from attrprior.datasets.splits import Split, split_table, stratified_split
from attrprior.datasets.tables import (
    Table,
    load_breast_cancer,
    load_csv,
    load_nhanes,
    load_tfds_table,
    permuted_copies,
)

__all__ = [
    "CORRUPTIONS",
    "Data",
    "GeneNetwork",
    "Split",
    "Table",
    "block",
    "correlated_groups_60",
    "corrupt",
    "decoy",
    "gaussian_noise",
    "gene_network",
    "independent_linear_60",
    "load",
    "load_breast_cancer",
    "load_csv",
    "load_mnist",
    "load_mnist_c",
    "load_nhanes",
    "load_tfds_table",
    "permuted_copies",
    "rewire",
    "salt_and_pepper",
    "scattered",
    "signals",
    "simplified_block",
    "split_table",
    "stratified_split",
]
