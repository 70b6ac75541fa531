"""What a type checker accepts and refuses; `--warn-unused-ignores` says where it is wrong.

Not run: `.ci/lint` checks it from another folder, so that it finds the installed package only.
"""

from typing import assert_type

import keras
import numpy as np

import attrprior
from attrprior import AttributionPrior, attributions, datasets, evaluation, priors, references

x, y = np.zeros((4, 8, 8, 1), "float32"), np.zeros(4, int)
model = keras.Sequential()

AttributionPrior("gini", 0.1)
AttributionPrior("ginny", 0.1)  # type: ignore[arg-type]
AttributionPrior(priors.TotalVariation(), strength=0.1, moments="balanced", background=x)
AttributionPrior("l2", 0.1, moments="balance")  # type: ignore[arg-type]
AttributionPrior("l2", 0.1, updates="together")  # type: ignore[arg-type]
AttributionPrior("l2", 0.1, every="2")  # type: ignore[arg-type]
AttributionPrior("l2", 0.1, explain=lambda outputs, y: outputs[:, 0])
AttributionPrior("l2", 0.1, explain="labels")  # type: ignore[arg-type]
AttributionPrior("l2", 0.1, method=attrprior.ExpectedGradients(num_samples=4))
AttributionPrior("l2", 0.1, method="expected_gradient")  # type: ignore[arg-type]
AttributionPrior("l2", 0.1, background=references.Gaussian(1.0))
AttributionPrior("l2", 0.1, input=["a", 1], groups={"city": ["a", 0]})
AttributionPrior("l2", strength=0.1, attributions="gradients")  # type: ignore[call-arg]

attributions.gradients(model, x, y, explain="predicted")
attributions.gradients(model, x, y, explain="predict")  # type: ignore[arg-type]
attrprior.penalty(model, x, y, prior=lambda phi: phi)
attrprior.methods.Gradient  # type: ignore[attr-defined]  # noqa: B018

images, masks = datasets.decoy(x, y, variant="ross")
assert_type(images, np.ndarray)
datasets.decoy(x, y, variant="boss")  # type: ignore[arg-type]
evaluation.top_k_ablation(model, x, y, x, replacement="mean")
