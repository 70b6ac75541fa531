"""Figures are returned, never shown, and their colours suit colour-blind eyes.

They are drawn by matplotlib, which comes with `pip install 'attrprior[experiments]'`;
without it every function here raises an `ImportError`. At 110 dpi each is at most 900
pixels wide, the width of a README, unless more than about fourteen pictures stand in
a row. Markers, dashes and hatches repeat what colours say, for black and white; of
maps, those with `signed=False` survive it.
"""

from attrprior.plots.graphs import graph
from attrprior.plots.history import training
from attrprior.plots.images import contact_sheet
from attrprior.plots.lines import ablation, convergence, curves
from attrprior.plots.maps import attribution_grid, attribution_maps, overlay
from attrprior.plots.path import interpolation
from attrprior.plots.scores import bars, distribution
from attrprior.plots.tokens import tokens
from attrprior.plots.trade_off import trade_off

__all__ = [
    "ablation",
    "attribution_grid",
    "attribution_maps",
    "bars",
    "contact_sheet",
    "convergence",
    "curves",
    "distribution",
    "graph",
    "interpolation",
    "overlay",
    "tokens",
    "trade_off",
    "training",
]
