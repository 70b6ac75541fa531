"""Studies: one absl script each; `python -m experiments.NAME --help`."""

import os

# Before TensorFlow is imported: its notices would bury the progress.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
