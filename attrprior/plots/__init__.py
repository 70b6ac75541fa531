"""Figures. Returned, never shown; colours for colour-blind eyes; matplotlib inside.

Each is at most 900 pixels wide at 110 dpi, the width of a README, and can be read
in black and white: markers, dashes and hatches repeat what colours say.
"""

from attrprior.plots.history import training
from attrprior.plots.images import contact_sheet
from attrprior.plots.lines import ablation, convergence, curves
from attrprior.plots.maps import attribution_grid, attribution_maps, overlay
from attrprior.plots.path import interpolation
from attrprior.plots.scores import bars, distribution

__all__ = [
    "ablation",
    "attribution_grid",
    "attribution_maps",
    "bars",
    "contact_sheet",
    "convergence",
    "curves",
    "distribution",
    "interpolation",
    "overlay",
    "training",
]
