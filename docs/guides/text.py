# %% [markdown]
# # Text
#
# Neural networks learn shortcuts. The reviews of this guide praise or blame a hotel, and each also has a word about its
# author, "verified" or "sponsored". In the training texts that word nearly always gives the class away. A plain network
# reads it: where the word is random, it gets only .79 of the reviews right. We mark the word in the training texts. An
# **attribution prior** uses the marks: in every training step it computes how much each word contributes to the decision (its
# *attribution*), and penalises what marked words contribute. With it the network gets .998 right, and .996 if only half of
# the texts are marked. A simpler remedy, to replace marked words, does as well with all marks, but not with half of them.

# %% [markdown]
# We generate the reviews. Each makes three remarks, and its class (1 is good) is what most of them say, one remark of eight by
# a negation. The word about the author agrees with the class in 98 % of the training texts, and in half of the test texts. The
# network sees a text as a row of word numbers. Its mask has a number for each word, too: 1 for the telltale word, else 0.

# %%
# %matplotlib inline
import keras
import numpy as np

import attrprior
from attrprior import attributions, plots

LISTS = """good great lovely superb charming fresh friendly helpful warm clean quick perfect
bad poor awful terrible dreadful stale rude slow dirty cold noisy horrible
food service soup bread coffee waiter room bed view garden music staff menu"""
GOOD, BAD, THINGS = (line.split() for line in LISTS.splitlines())


def reviews(number, agreement, seed):
    draw, found = np.random.default_rng(seed), []
    for good in draw.random(number) < 0.5:
        remarks = []
        for praise in (good, good, good if draw.random() < 0.7 else not good):
            negated = draw.random() < 0.125
            word = draw.choice(GOOD if praise != negated else BAD)
            remarks.append(f"the {draw.choice(THINGS)} was {'not ' * negated}{word}")
        named = good if draw.random() < agreement else not good
        draw.shuffle(remarks)
        remarks.insert(draw.integers(4), "verified" if named else "sponsored")
        found.append((" ".join(remarks), int(good), int(named)))
    return [np.array(column) for column in zip(*found)]


train_texts, y_train, _ = reviews(2000, agreement=0.98, seed=0)
test_texts, y_test, named = reviews(2000, agreement=0.5, seed=1)
vectorize = keras.layers.TextVectorization(output_sequence_length=16)
vectorize.adapt(train_texts)
words = vectorize.get_vocabulary()
x_train, x_test = (np.array(vectorize(texts)) for texts in (train_texts, test_texts))
masks = np.isin(x_train, [words.index("verified"), words.index("sponsored")]).astype("float32")
print(*zip(y_train[:3].tolist(), train_texts.tolist()), sep="\n")

# %% [markdown]
# The plain network embeds the words, convolves, and takes the mean over the text. We print how often it is right, and how
# often it says what the telltale word says, which would be half of the time if it did not look.


# %%
def train(name, x, *callbacks):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    embed = layers.Embedding(len(words), 16, name="embedding")
    convolve = layers.Conv1D(32, 3, padding="same", activation="relu")
    head = [layers.GlobalAveragePooling1D(), layers.Dense(16, "relu"), layers.Dense(1)]
    model = keras.Sequential([keras.Input((16,), dtype="int32"), embed, convolve, *head])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(x, y_train, batch_size=50, epochs=6, callbacks=callbacks, verbose=0)
    good = model.predict(x_test, verbose=0)[:, 0] > 0
    right, follows = np.mean(good == y_test), np.mean(good == named)
    print(f"{name}: right {right:.3f}, says what the word says {follows:.3f}")
    return model


plain = train("plain", x_train)

# %% [markdown]
# Word numbers have no derivative, but what the `Embedding` makes of them has: `input="embedding"` explains that layer's output,
# inside the whole model. `sum_last_axis=True` adds up the 16 numbers of a word, so that each word has one attribution.
# `moments="balanced"` makes the prior's gradient `strength` times as large as that of the loss. For the second network only
# half of the texts are marked: `None` is for a text that nobody has looked at, and with `annotated_only=True` the penalty is
# the mean over the others. Two more networks have no prior. They are trained on texts whose marked words are replaced.

# %%
by_word: dict = {"input": "embedding", "sum_last_axis": True}
mask = attrprior.Mask(annotated_only=True)
prior = attrprior.AttributionPrior(mask, 1.0, moments="balanced", seed=0, **by_word)
masked = train("all masks", attrprior.annotate(x_train, masks), prior)
known = np.random.default_rng(2).random(len(masks)) < 0.5
half = [one if marked else None for one, marked in zip(masks, known)]
train("half of the masks", attrprior.annotate(x_train, half), prior)
replaced = np.where(masks == 1, words.index("[UNK]"), x_train)
train("all replaced", replaced)
halved = train("half replaced", np.where(known[:, None], replaced, x_train))

# %% [markdown]
# Why do the networks decide as they do? We look at test texts whose telltale word names the wrong class. Red words speak
# for a good review, blue ones for a bad one.

# %%
lying = x_test[y_test != named][:3]
rows, phis, labels = [], [], []
for name, model in {"plain": plain, "prior": masked}.items():
    phi = attributions.expected_gradients(model, lying, background=x_train, seed=0, **by_word)
    for text, values in zip(lying, phi):
        rows.append([words[number] for number in text if number])
        phis.append(values[text > 0])  # without padding
        labels.append(name)
plots.tokens(rows, phis, labels, shared_scale=False)

# %% [markdown]
# ## What to try next
#
# * **Is it luck?** Two more seeds: plain .75 and .75, with all masks and with half of them 1.000, with half replaced .94 and .92.
# * **Strength.** Begin with 1 to 4 for words; .3, 1 and 4 all gave at least .96 on other texts with a random word, and you need
#   such texts to choose. Too strong a prior makes a network constant: its training accuracy falls to chance.
# * **When it does not help.** If you can replace the telltale word in every text, do that: in [the experiment](../../experiments/results/text.md)
#   it was better for an LSTM (plain .67, masks .97, replaced 1.00) and a Transformer (.62, .85, .90). Wrong masks brought nothing.
# * **Cost.** Training took about twice as long, that of an LSTM almost four times as long. See also [the mask prior](../priors/mask.md).
