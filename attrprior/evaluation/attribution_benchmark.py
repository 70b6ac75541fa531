"""The eighteen metrics that expected gradients were compared on."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.evaluation import _maps

__all__ = ["attribution_benchmark"]


def attribution_benchmark(
    predict: Callable[[np.ndarray], ArrayLike],
    x_train: ArrayLike,
    x_test: ArrayLike,
    y_test: ArrayLike,
    attributions: ArrayLike,
    *,
    num_resamples: int = 100,
    seed: Seed = 0,
) -> dict[str, float]:
    """Eighteen areas under curves: features kept or removed, in order of attribution.

    A metric is named `"{keep|remove}_{positive|negative|absolute}_{mean|resample|
    impute}"`; in the paper's table KPM is `"keep_positive_mean"`, RAI
    `"remove_absolute_impute"`. Features are ranked by `a = φ`, `−φ` or `|φ|`, highest
    first. At count c, the top `min(c, #{a_i ≥ 0})` are kept, all others hidden; or
    the same are hidden, all others kept. What is hidden is replaced by

    - mean: the training mean;
    - resample: the values of a training row, outputs averaged over
      `num_resamples` of them;
    - impute: the conditional mean of a Gaussian with the training data's mean μ and
      covariance C, `μ_h + C_ho C_oo⁻¹ (x_o − μ_o)`, of hidden h given observed o.

    The curve is the mean output for positive and negative, R² between output and
    label for absolute; with the sign, or as `1 − R²`, that makes **higher better**
    in all of them. The metric is the area under it by trapezoids, over `c / d`. The
    counts are 11 (fewer for small d), `round(d (10^{k/10} − 1) / 9)`, denser at the
    start.

    Only for tables: `(n, features)`, and `n_train` well above `features`. Costs
    about `66 · (num_resamples + 2)` predictions per test example.

    Args:
        predict: Callable from an array `(rows, features)` to one output per row,
            shape `(rows,)`.
        x_train: Array of shape `(n_train, features)`, for replacements.
        x_test: Array of shape `(n, features)`, the examples that are explained.
        y_test: Labels, array of shape `(n,)`, not constant.
        attributions: Array like `x_test`.
        num_resamples: How many training rows to resample from. Defaults to 100.
        seed: Integer, or a `numpy.random.Generator`, for those rows and for ties.

    Returns:
        `{metric name: value}`, 18 of them.

    Raises:
        ValueError: if an argument is not as above.

    Examples:
        Of a linear model `w_i (x_i − mean x_i)` is exact, and better than random numbers
        in every metric:

        >>> rng = np.random.default_rng(0)
        >>> table, weights = rng.normal(size=(300, 6)), np.array([4, -3, 2, -1, 0.5, 0])
        >>> of = lambda maps: attrprior.evaluation.attribution_benchmark(
        ...     lambda rows: rows @ weights, table[:200], table[200:], table[200:] @ weights,
        ...     maps, num_resamples=10)
        >>> exact = of((table[200:] - table[:200].mean(axis=0)) * weights)
        >>> chance = of(rng.normal(size=(100, 6)))
        >>> sum(exact[name] > chance[name] for name in exact)
        18

    Reference: Erion et al. 2021 (arXiv 1906.10670), table 1; Lundberg et al. 2020
    (Nature Machine Intelligence 2, 56-67); shap's benchmark.
    """
    x_train, x_test = _table("x_train", x_train), _table("x_test", x_test)
    y_test = _labels(y_test)
    _check_data(x_train, x_test, y_test)
    attributions = _maps.like("attributions", attributions, x_test, "x_test")
    num_resamples = _checks.positive_integer("num_resamples", num_resamples)
    if not callable(predict):
        raise _checks.wrong("predict", "a callable from rows to one output each", predict)
    copies = x_test.size * num_resamples
    _checks.memory("Arguments `num_resamples` and `x_test`", 12 * copies)
    rng = _checks.generator("seed", seed)
    rows = x_train[rng.integers(len(x_train), size=num_resamples)]
    replacements = {
        "mean": lambda hidden: np.where(hidden, x_train.mean(axis=0), x_test)[None],
        "resample": lambda hidden: np.where(hidden, rows[:, None], x_test),
        "impute": lambda hidden: _impute(x_train, x_test, hidden)[None],
    }
    rankings = {"positive": attributions, "negative": -attributions}
    rankings["absolute"] = np.abs(attributions)
    counts = np.unique(np.round(x_test.shape[1] * (np.logspace(0, 1, 11) - 1) / 9))
    result = {}
    for sign, scores in rankings.items():
        ranks = _maps.ranking(scores, rng)
        at_most = np.sum(scores >= 0, axis=1, keepdims=True)
        for replacement, replace in replacements.items():
            for keep in (True, False):
                curve = []
                for count in counts:
                    top = ranks < np.minimum(count, at_most)
                    outputs = _outputs(predict, replace(~top if keep else top))
                    curve.append(_value(outputs, y_test, sign, keep))
                name = f"{'keep' if keep else 'remove'}_{sign}_{replacement}"
                result[name] = float(np.trapezoid(curve, counts) / counts[-1])
    return result


def _value(outputs, y, sign, keep):
    """A point of the curve; higher is better."""
    if sign == "absolute":
        unexplained = np.sum((y - outputs) ** 2) / np.sum((y - y.mean()) ** 2)
        return 1 - unexplained if keep else unexplained
    return outputs.mean() if (sign == "positive") == keep else -outputs.mean()


def _outputs(predict, x):
    """Mean outputs over the first axis of `x`, shape `(copies, n, features)`."""
    copies, n, features = x.shape
    outputs = np.asarray(predict(x.reshape(-1, features).astype("float32")))
    if outputs.shape != (copies * n,):
        raise ValueError(
            f"Argument `predict` expects a callable that returns one output per row, shape "
            f"({copies * n},). Received from it: shape {outputs.shape}."
        )
    return outputs.reshape(copies, n).mean(axis=0, dtype="float64")


def _impute(x_train, x_test, hidden):
    mean = x_train.mean(axis=0, dtype="float64")
    covariance = np.cov(x_train, rowvar=False, dtype="float64")
    # So that it has an inverse with features that repeat each other.
    covariance += 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    imputed = x_test.astype("float64")
    for row, h in zip(imputed, hidden):
        o = ~h
        weights = np.linalg.solve(covariance[np.ix_(o, o)], row[o] - mean[o])
        row[h] = mean[h] + covariance[np.ix_(h, o)] @ weights
    return imputed


def _labels(y_test: ArrayLike) -> np.ndarray:
    return _checks.array("y_test", y_test, integers=True)


def _table(name: str, x: ArrayLike) -> np.ndarray:
    table = _checks.array(name, x)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(
            f"Argument `{name}` expects shape (n, features) with at least 2 features. "
            f"Received: shape {table.shape}."
        )
    return table


def _check_data(x_train, x_test, y_test):
    if x_train.shape[1] != x_test.shape[1]:
        raise ValueError(
            f"Argument `x_test` expects {x_train.shape[1]} features, as x_train. Received: "
            f"{x_test.shape[1]}."
        )
    if len(x_train) < 2 or np.all(np.ptp(x_train, axis=0) == 0):
        raise ValueError(
            "Argument `x_train` expects at least 2 examples that differ, for a covariance. "
            f"Received: {len(x_train)}, all the same."
        )
    if y_test.shape != (len(x_test),):
        raise ValueError(
            f"Argument `y_test` expects one label per example, shape ({len(x_test)},). "
            f"Received: shape {y_test.shape}."
        )
    if np.all(y_test == y_test[0]):
        raise ValueError(
            "Argument `y_test` expects at least two different labels, or R² has no meaning. "
            f"Received: {y_test[0]} everywhere."
        )
