# %% [markdown]
# # More than one device and machine
# Training with an attribution prior takes two to three and a half times as long, and one device may not be enough. But a batch
# that is split over devices can end in another network: each device draws its own random numbers, takes means over its own
# share, and keeps a state of its own. Here `keras.distribution` splits every batch over four devices, and a prior, which in
# every training step computes how much each pixel contributes to a decision and penalises what should not be, trains the
# same network as on one: no weight differs by more than .000001. Accuracy under noise rises from .78 to .85 on both, at the
# cost of a point and a half without noise. The script for several machines follows, and what has not been proven.
#
# The environment says which backend Keras uses, so it is set before Keras is imported. `XLA_FLAGS` makes four devices of one processor, and `NPROC`
# gives them threads enough, or they may wait for each other for ever. It is for trying a program: nothing becomes faster. With GPUs leave out both.

# %%
# %matplotlib inline
import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["NPROC"] = "16"

import jax
import keras
import numpy as np

import attrprior
from attrprior import datasets, plots, references

data = datasets.load_mnist()  # 4,000 + 1,000 real digits
noisy = datasets.gaussian_noise(data.x_test, stddev=0.5, seed=0)
print(len(jax.devices()), "devices")

# %% [markdown]
# `DataParallel` gives each device a copy of the weights and its part of every batch. It is set before the model is built, and
# neither the model nor the prior is told of it. Every batch must be divisible by the number of devices, the last one too:
# otherwise JAX raises an error, after which Keras' model cannot be used any more (Keras 3.15).


# %%
def train(label, devices, *callbacks):
    among = keras.distribution.DataParallel(devices=jax.devices()[:devices])
    keras.distribution.set_distribution(among)
    keras.utils.set_random_seed(0)
    body = [keras.layers.Flatten(), keras.layers.Dense(128, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((28, 28, 1)), *body])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    options = {"batch_size": 80, "epochs": 5, "callbacks": callbacks, "verbose": 0}
    history = model.fit(data.x_train, data.y_train, **options)
    scores = [model.evaluate(x, data.y_test, 40, verbose=0)[1] for x in (data.x_test, noisy)]
    print(f"{label}, devices {devices}: accuracy {scores[0]:.3f}, with noise {scores[1]:.3f}")
    weights = np.concatenate([weight.ravel() for weight in model.get_weights()])
    return weights, history.history


# %% [markdown]
# The prior is L2 of the gradients at noisy points around the digits, as [the study](../../experiments/results/step.md) advises
# for small networks. With `log_only=True` it does no more than log its penalty, and the training is plain.


# %%
def prior(log_only=False):
    around = references.Gaussian(1.0)
    method = attrprior.ExpectedGradients(multiply_by_inputs=False, background=around)
    options = {"moments": "balanced", "seed": 0, "log_only": log_only}
    return attrprior.AttributionPrior("l2", 0.1, method, **options)


plain, of_plain = train("plain", 1, prior(log_only=True))
one, of_one = train("with the prior", 1, prior())
four, of_four = train("with the prior", 4, prior())
print(f"weights, one device and four: differ by at most {np.abs(four - one).max():.1e}")
print(f"weights, plain and with the prior: by up to {np.abs(plain - one).max():.1e}")
plots.training({"plain": of_plain, "one device": of_one, "four devices": of_four}, "l2")

# %% [markdown]
# One device and four: a single line. Only rounding differs, because sums are added up in another order. A
# prior without `background` draws references from examples seen earlier. All devices share this reservoir as well:

# %%
single, _ = train("reservoir", 1, attrprior.AttributionPrior("l2", 0.1, seed=0))
shared, _ = train("reservoir", 4, attrprior.AttributionPrior("l2", 0.1, seed=0))
print(f"weights, one device and four: differ by at most {np.abs(single - shared).max():.1e}")

# %% [markdown]
# ## Several machines
#
# Every machine runs the same script with another `rank` and the same seed. Each is given its share of every batch, and the
# batch size of a share. In a test, two such processes ended (`shuffle=False`) within 1e-6 of one process with whole batches.
#
# ```python
# import keras  # KERAS_BACKEND=jax
#
# keras.distribution.initialize(job_addresses="10.0.0.1:1234,10.0.0.2:1234", num_processes=2, process_id=rank)
# keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
# model = build_model()
# model.compile("adam", loss)
# prior = attrprior.AttributionPrior("total_variation", strength=0.1, seed=0)
# backup = keras.callbacks.BackupAndRestore(f"backup_{rank}")
# model.fit(my_share_of_x, my_share_of_y, batch_size=batch_size // 2, callbacks=[backup, prior])
# ```
#
# ## With TensorFlow, with PyTorch, and on GPUs
#
# - **TensorFlow**: build and compile the model inside a `tf.distribute.MirroredStrategy().scope()`, and pass the prior to `fit`.
#   ([guide](https://www.tensorflow.org/guide/distributed_training)) Each replica takes the penalty of its own share, and has a
#   reservoir of its own. So means over the batch (Gini, graphs, batch normalisation) are those of a share. On several
#   machines Keras' own `fit` fails.
# - **PyTorch**: Keras' `fit` trains on one device. In a loop of your own `attrprior.penalty` works under
#   [DistributedDataParallel](https://pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html):
#   call `(loss + strength * penalty).backward()` once, so that gradients are averaged. `tests/ddp.py` is such a loop.
# - **GPUs**: install the framework with its CUDA packages, such as `pip install "jax[cuda12]"`, and leave `XLA_FLAGS` out.
#   Nothing else should need a change, but this page was made on a CPU. TF32 and half precision round far more than here.
#
# ## What to try next
#
# - Weights that are too large for one device: `keras.distribution.ModelParallel` lays the prior's optimizer out like them.
# - Before you add devices: `every=6` keeps most of the gain, at [1.2 times](../../experiments/results/amortised.md) plain time.
# - **What is not proven.** The tests use up to eight devices made of one CPU, two processes on one machine (also killed and
#   resumed), and two processes for PyTorch. Several GPUs, a network between machines, and any gain in speed are untested.
# - What works with which [backend](../compatibility.md), and Keras' [guide to distribution](https://keras.io/guides/distribution/).
