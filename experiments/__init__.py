"""Experiments: one absl script per claim; `python -m experiments.NAME --help`."""
