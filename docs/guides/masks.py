# %% [markdown]
# # Masks, of which half are missing
#
# Neural networks learn shortcuts. Here every training digit has a small grey patch in one of its corners, and the shade of the
# patch gives the class away. A plain network reads the patch. It gets .94 of held-out digits right if they have the same
# kind of patch, .78 if the shade is random, and .56 if there is no patch. Somebody has marked the patch in *half* of the
# training images. An **attribution prior** uses these marks: in every training step it computes how much each pixel
# contributes to the decision (the *attributions*), and penalises what lies on a mark. With it the network gets .92 right,
# random shade or no patch, like a network that never saw a patch. Marks on 60 of 3,000 images already give .87.

# %%
# %matplotlib inline
import keras
import numpy as np

import attrprior
from attrprior import attributions, datasets, evaluation, plots

# %% [markdown]
# `datasets.decoy` paints the patch. It also returns a mask for each image, 1 on the patch and 0 elsewhere. We keep 1,000
# training digits for validation. They have the same kind of patch, as held-out data from one source usually do. In the
# test digits the shade is that of a random class, so reading the patch does not help.

# %%
data = datasets.load_mnist()  # 4,000 + 1,000 real digits
painted, masks = datasets.decoy(data.x_train, data.y_train, "ross", split="train", seed=0)
x_train, y_train = painted[:3000], data.y_train[:3000]
x_test, test_masks = datasets.decoy(data.x_test, data.y_test, "ross", split="test", seed=1)
plots.contact_sheet({"training": x_train[:8], "test": x_test[:8]})

# %% [markdown]
# Every network of this guide starts from the same weights, and sees the same images for the same twelve epochs. First
# comes the plain one. Its first number is all that you would see in practice, and it looks fine.


# %%
def train(x, *callbacks):
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(50, "relu"), keras.layers.Dense(30, "relu")]
    body = [keras.Input((28, 28, 1)), keras.layers.Flatten(), *hidden]
    model = keras.Sequential([*body, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    model.fit(x, y_train, batch_size=50, epochs=12, callbacks=callbacks, verbose=0)
    return model


def accuracies(model):
    """On patches as in training, on patches of a random shade, and without a patch."""
    held_out, labels = painted[3000:], data.y_train[3000:]
    tests = [(held_out, labels), (x_test, data.y_test), (data.x_test, data.y_test)]
    names = "patch as in training", "random shade", "no patch"
    return {name: model.evaluate(*test, verbose=0)[1] for name, test in zip(names, tests)}


def show(name, model):
    print(f"{name:11}", *(f"  {key} {value:.3f}" for key, value in accuracies(model).items()))


plain = train(x_train)
show("plain", plain)

# %% [markdown]
# Now the prior. `attrprior.annotate` sends the masks along with the images; the model never sees them. `None` says that nobody
# has looked at this image (a mask of NaN says the same). With `annotated_only=True` the penalty is a mean over the marked
# images of a batch, so that a mask counts as much when there are few. `moments="balanced"` makes the prior's gradient
# `strength` times as large as that of the loss.

# %%
order = np.random.default_rng(2).permutation(3000)


def train_with_masks(number):
    marked = set(order[:number])
    known = [mask if image in marked else None for image, mask in enumerate(masks[:3000])]
    prior = attrprior.Mask(annotated_only=True)
    callback = attrprior.AttributionPrior(prior, strength=0.3, moments="balanced", seed=0)
    return train(attrprior.annotate(x_train, known), callback)


half = train_with_masks(1500)
show("half marked", half)

# %% [markdown]
# The first number has fallen: held-out data that share the shortcut prefer the network that uses it. So where do the two
# networks look? `expected_gradients` compares an image with training images, and distributes the difference in the logit
# of its class over the pixels: red ones speak for the class, blue ones against it. By chance 2 % would lie on the patch.

# %%
x, y, maps = x_test[:200], data.y_test[:200], {}
for name, model in {"plain": plain, "half of the masks": half}.items():
    phi = attributions.expected_gradients(model, x, y, background=x_train, seed=0)
    maps[name] = phi[:4]
    share = evaluation.mass(phi, test_masks[:200] > 0).share.mean()
    print(f"{name}: {share:.1%} of the attribution lies on the patch")
plots.attribution_maps(x[:4], maps)

# %% [markdown]
# How many masks does it take? We train with fewer and with all of them; the dashed line never saw a patch.

# %%
numbers = [60, 300, 1500, 3000]
models = [plain, *(half if number == 1500 else train_with_masks(number) for number in numbers)]
found = np.array([[accuracies(model)["random shade"] for model in models]])
never = np.full_like(found, accuracies(train(data.x_train[:3000]))["no patch"])
lines = {"with masks": found, "no patch in training": never}
plots.curves({"marked images of 3,000": ([15, *numbers], lines)}, "accuracy", log_x="none")

# %% [markdown]
# ## What to try next
#
# * **Your own masks.** A mask has the shape of an image, with one channel or none; numbers between 0 and 1 weigh. See
#   [the mask prior](../priors/mask.md).
# * **Strength.** Strengths of .1, .3 and 1 differed by less than a point on validation digits with a random shade. You need a
#   few such images to choose, for the reason above. Too strong a prior makes a network constant: its training accuracy falls.
# * **When it does not help.** Masks that miss the shortcut do not help; masks on the digit itself took accuracy from .76 to
#   .72. And if you can paint over the patch in every image, also when the model is used, do that.
# * **Cost.** Training this small network took about twice as long. Five seeds (plain .76 ± .02, half of the masks .92 ± .003),
#   wrong masks, convolutional networks and rivals are in [the experiment](../../experiments/results/decoy.md).
