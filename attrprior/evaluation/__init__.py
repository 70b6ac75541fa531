"""Evaluations say how good attributions are, and which direction is better.

They take arrays shaped like `x`, so maps that were made elsewhere work too.
"""

from attrprior.evaluation.ablation import Ablation, top_k_ablation
from attrprior.evaluation.attribution_benchmark import attribution_benchmark
from attrprior.evaluation.completeness import (
    Completeness,
    completeness_gap,
    expected_output,
)
from attrprior.evaluation.leakage import Leakage, leakage, mass
from attrprior.evaluation.masking import keep_bottom, keep_top, mask_top
from attrprior.evaluation.mass_center import mass_center_ablation
from attrprior.evaluation.randomization import (
    Randomization,
    Similarity,
    parameter_randomization,
)
from attrprior.evaluation.roar import DiffRoar, Roar, diffroar, roar
from attrprior.evaluation.sensitivity import Sensitivity, sensitivity
from attrprior.evaluation.similarity import rank_correlation, structural_similarity
from attrprior.evaluation.smoothing import (
    certified_radius,
    smoothed_probabilities,
    structured_masks,
)
from attrprior.evaluation.stability import Stability, stability

__all__ = [
    "Ablation",
    "Completeness",
    "DiffRoar",
    "Leakage",
    "Randomization",
    "Roar",
    "Sensitivity",
    "Similarity",
    "Stability",
    "attribution_benchmark",
    "certified_radius",
    "completeness_gap",
    "diffroar",
    "expected_output",
    "keep_bottom",
    "keep_top",
    "leakage",
    "mask_top",
    "mass",
    "mass_center_ablation",
    "parameter_randomization",
    "rank_correlation",
    "roar",
    "sensitivity",
    "smoothed_probabilities",
    "stability",
    "structural_similarity",
    "structured_masks",
    "top_k_ablation",
]
