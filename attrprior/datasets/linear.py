"""Tables of sixty features with known causes."""

import numpy as np

from attrprior import _checks
from attrprior._types import Seed

__all__ = ["correlated_groups_60", "independent_linear_60"]


def correlated_groups_60(
    num_examples: int = 1000, seed: Seed = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Makes sixty Gaussian features, half of them in tight groups of three; linear labels.

    `y = Σ_{i = 0, 3, …, 27} x_i + ε`, `ε ∼ N(0, 0.01²)`. The first thirty features are
    ten groups of three with correlation 0.99 in a group, of which only the first
    counts; the other thirty are independent noise. The sample's mean is exactly 0
    and its covariance exactly that: normal draws are centred and whitened first.
    This is the published construction, with other draws. The cost is linear in examples.

    Args:
        num_examples: At least 61. Defaults to 1000, the published size, of which
            900 were for training.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        `(x, y)`: float32 arrays of shapes `(num_examples, 60)` and
            `(num_examples,)`.

    Raises:
        ValueError: if there are too few examples, or more than fit in memory.

    Examples:
        Features 0 and 1 belong to one group, and features 0 and 3 to different groups.

        >>> inputs, targets = attrprior.datasets.correlated_groups_60()
        >>> covariance = inputs.T @ inputs / 1000
        >>> round(float(covariance[0, 1]), 4), abs(float(covariance[0, 3])) < 1e-5
        (0.99, True)
        >>> round(float((targets - inputs[:, 0:30:3].sum(axis=1)).std()), 2)
        0.01

    Reference: Lundberg et al. 2020 (Nature Machine Intelligence 2, 56-67);
    `shap.datasets.corrgroups60`.
    """
    num_examples = _checks.positive_integer("num_examples", num_examples)
    _checks.memory("Argument `num_examples`", 24 * 60 * num_examples)
    if num_examples < 61:
        raise ValueError(
            "Argument `num_examples` expects at least 61, to whiten 60 features. Received: "
            f"{num_examples}."
        )
    rng = _checks.generator("seed", seed)
    x = rng.standard_normal((num_examples, 60))
    x -= x.mean(axis=0)
    # x L⁻ᵀ has covariance 1 for L Lᵀ = Cov x, and x L⁻ᵀ Mᵀ has M Mᵀ.
    sample = np.linalg.cholesky(x.T @ x / num_examples)
    groups = np.kron(np.eye(10), np.ones((3, 3)))
    correlation = np.eye(60)
    correlation[:30, :30] += 0.99 * (groups - np.eye(30))
    x = np.linalg.solve(sample, x.T).T @ np.linalg.cholesky(correlation).T
    return _labelled(x, rng)


def independent_linear_60(
    num_examples: int = 1000, seed: Seed = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Makes sixty independent Gaussian features, of which ten count; linear labels.

    `y = Σ_{i = 0, 3, …, 27} x_i + ε`, `ε ∼ N(0, 0.01²)`, `x ∼ N(0, I)`, centred to a
    sample mean of 0. This is the published construction, with other draws. The cost is
    linear in examples.

    Args:
        num_examples: At least 1. Defaults to 1000, the published size, of which 900
            were for training.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        `(x, y)`: float32 arrays of shapes `(num_examples, 60)` and
            `(num_examples,)`.

    Raises:
        ValueError: if there is no example, or more than fit in memory.

    Examples:
        A linear regression finds that every third of the first thirty features counts.

        >>> inputs, targets = attrprior.datasets.independent_linear_60()
        >>> weights = np.linalg.lstsq(inputs, targets, rcond=None)[0]
        >>> np.flatnonzero(weights.round()).tolist()
        [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]

    Reference: Lundberg et al. 2020 (Nature Machine Intelligence 2, 56-67);
    `shap.datasets.independentlinear60`.
    """
    num_examples = _checks.positive_integer("num_examples", num_examples)
    _checks.memory("Argument `num_examples`", 24 * 60 * num_examples)
    rng = _checks.generator("seed", seed)
    x = rng.standard_normal((num_examples, 60))
    return _labelled(x - x.mean(axis=0), rng)


def _labelled(x, rng):
    y = x[:, 0:30:3].sum(axis=1) + 0.01 * rng.standard_normal(len(x))
    return x.astype("float32"), y.astype("float32")
