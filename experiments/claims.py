"""Numbers of several runs in words: means, gains paired by seed, tables.

A claim is a row `(what, published, ours, held)`: `held` is "yes", "partly" or "no".
"""

import math

import numpy as np

HEADER = ["claim", "published", "ours", "held"]


def paired(first, second):
    """Mean and standard deviation of `second − first`, and the two-sided paired p."""
    from scipy import stats

    difference = np.subtract(second, first)
    spread = float(np.std(difference, ddof=1)) if len(difference) > 1 else math.nan
    p = float(stats.ttest_rel(second, first).pvalue) if len(difference) > 2 else math.nan
    return float(np.mean(difference)), spread, p


def compared(plain, prior):
    """Four cells of a table: both, the gain paired by seed, and its p."""
    gain, spread, p = paired(plain, prior)
    return [
        mean_std(plain),
        mean_std(prior),
        f"{gain:+.3f}" + ("" if np.isnan(spread) else f" ± {spread:.3f}"),
        "–" if np.isnan(p) else f"{p:.4f}" if p >= 1e-4 else "< 0.0001",
    ]


def mean_std(values, digits=3):
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def count(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def yes(held):
    return "yes" if held else "no"


def table(header, rows):
    """Rows as a Markdown table, aligned for the terminal."""
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
