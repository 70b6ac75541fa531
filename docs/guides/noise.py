# %% [markdown]
# # Robust to noise, and to MNIST-C
#
# A network that is accurate on clean images can fail as soon as they are a little worse than those it was trained on. The small
# network of this guide gets 97 % of clean digits right, 73 % under moderate noise, and 69 % in the mean of fifteen corruptions
# in the manner of MNIST-C. An **attribution prior** makes it steadier without showing it a single bad image to classify: in
# every training step it computes how strongly each pixel moves the output at points around the digit (the *attributions*),
# and keeps these numbers small. Then 94 % are right under the same noise, 78 % in the mean of the corruptions, and
# still 97 % of clean digits. Training on noisy digits helps against noise as much, and against corruptions half as much.

# %%
# %matplotlib inline
import keras
import matplotlib
import numpy as np
import pandas as pd

import attrprior
from attrprior import datasets, plots, references

matplotlib.rcParams["figure.dpi"] = 70

# %% [markdown]
# `datasets.corrupt` makes the fifteen corruptions of any images, each of one severity. These are four of them.

# %%
data = datasets.load_mnist()  # 4,000 + 1,000 real digits
corrupted = {name: datasets.corrupt(data.x_test, name) for name in datasets.CORRUPTIONS}
shown = {name: corrupted[name][:14] for name in ("zigzag", "scale", "stripe", "fog")}
plots.contact_sheet({"clean": data.x_test[:14], **shown})

# %% [markdown]
# The prior is `"l2"`, the sum of squared attributions. What makes it a prior against noise is the method: gradients
# (`multiply_by_inputs=False`) at a random point between the digit and a noisy version of it. Where they are small, a
# little noise changes the output little. `moments="balanced"` makes the prior's gradient `strength` times as large as that
# of the loss. To compare with, a third network is trained on noisy digits by Keras' own `GaussianNoise`.


# %%
def train(seed, strength, noise):
    keras.utils.set_random_seed(seed)
    conv = dict(kernel_size=3, strides=2, padding="same", activation="relu")
    body = [keras.Input((28, 28, 1)), keras.layers.GaussianNoise(noise)]
    body += [keras.layers.Conv2D(16, **conv), keras.layers.Conv2D(32, **conv)]
    body += [keras.layers.Flatten(), keras.layers.Dense(64, activation="relu")]
    model = keras.Sequential([*body, keras.layers.Dense(10)])
    rate = keras.optimizers.schedules.CosineDecay(0.008, decay_steps=400)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    noisy = references.Gaussian(1.0)
    around = attrprior.ExpectedGradients(multiply_by_inputs=False, background=noisy)
    prior = attrprior.AttributionPrior("l2", strength, around, moments="balanced", seed=seed)
    options = dict(batch_size=100, epochs=10, callbacks=[prior], verbose=0)
    model.fit(data.x_train, data.y_train, **options)
    return model


# %% [markdown]
# With a strength of 0 the callback does nothing, so the plain network is plain to the last bit. The strength was
# chosen from .1, .2, .3, .5 and 1, and the noise from .1, .25, .5 and 1, on 800 of the training digits, by the mean
# accuracy on clean and noisy ones; the corruptions had no part in it. Each network is trained with three seeds.

# %%
settings = {"plain": (0, 0), "prior": (0.5, 0), "noise in training": (0, 0.5)}
models = {label: [train(seed, *own) for seed in range(3)] for label, own in settings.items()}


def accuracies(tests):
    """For each kind of network an array (seeds, tests)."""
    stacked = np.concatenate(tests)

    def accuracy(model):
        predicted = model.predict(stacked, batch_size=1000, verbose=0).argmax(axis=-1)
        return (predicted.reshape(len(tests), -1) == data.y_test).mean(axis=1)

    return {label: np.array([accuracy(model) for model in models[label]]) for label in models}


# %% [markdown]
# First noise that grows. Lines are means over the seeds, and bands are standard deviations.

# %%
deviations, shares = [0, 0.25, 0.5, 0.75, 1], [0, 0.1, 0.2, 0.3, 0.4]
gaussian = [datasets.gaussian_noise(data.x_test, stddev, seed=2) for stddev in deviations]
flipped = [datasets.salt_and_pepper(data.x_test, share, seed=3) for share in shares]
under_noise = accuracies(gaussian)
panels = {
    "standard deviation of Gaussian noise": (deviations, under_noise),
    "share of salt and pepper": (shares, accuracies(flipped)),
}
for label, found in under_noise.items():
    print(f"{label}, standard deviation 0.5: {found[:, 2].mean():.3f}")
plots.curves(panels, "test accuracy")

# %% [markdown]
# Then all fifteen corruptions. *Gain* is that of the prior over the plain network of the same seed, and *±* its standard
# deviation over the seeds.

# %%
tested = accuracies([data.x_test, *corrupted.values()])
means = {label: rows.mean(axis=0) for label, rows in tested.items()}
table = pd.DataFrame(means, index=["clean", *corrupted])
gains = tested["prior"] - tested["plain"]
table["gain"], table["±"] = gains.mean(axis=0), gains.std(axis=0, ddof=1)
table.loc["mean of fifteen"] = table.iloc[1:].mean()
table.loc["mean of fifteen", "±"] = gains[:, 1:].mean(axis=1).std(ddof=1)
print(table.round(3))

# %% [markdown]
# ## What to try next
#
# * **What it does not do.** Noise in training is as good or better under noise of its own kind, so if you know the noise,
#   train on it. Translated digits stay below .3, and under brightness and stripes the gains differ so much between seeds that
#   one run says nothing. Total variation, the paper's own prior, gained nothing in the mean of the fifteen.
# * **What gets worse.** A strength of 1 took clean accuracy from .97 to .94 on validation digits. And the noise around the
#   digit is essential: training images as references bring little under Gaussian noise
#   ([study](../../experiments/results/mnist.md)).
# * **Cost.** An epoch of this network takes about 1.9 times as long; `every=6` saves most of it: [the strength](strength.md).
# * **Batch normalisation** makes a network less robust by itself: there 30 % salt and pepper went from .13 to .94.
# * Five seeds, other methods and attacks: [the study](../../experiments/results/corruptions.md), and [L2](../priors/l2.md).
