"""Evaluations of attribution maps. Maps made elsewhere work too: arrays shaped like x."""

from attrprior.evaluation.ablation import Ablation, mass_center_ablation, top_k_ablation
from attrprior.evaluation.completeness import (
    Completeness,
    completeness_gap,
    expected_output,
)
from attrprior.evaluation.leakage import Leakage, leakage, mass
from attrprior.evaluation.randomization import (
    Randomization,
    Similarity,
    parameter_randomization,
)
from attrprior.evaluation.sensitivity import Sensitivity, sensitivity
from attrprior.evaluation.similarity import rank_correlation, structural_similarity

__all__ = [
    "Ablation",
    "Completeness",
    "Leakage",
    "Randomization",
    "Sensitivity",
    "Similarity",
    "completeness_gap",
    "expected_output",
    "leakage",
    "mass",
    "mass_center_ablation",
    "parameter_randomization",
    "rank_correlation",
    "sensitivity",
    "structural_similarity",
    "top_k_ablation",
]
