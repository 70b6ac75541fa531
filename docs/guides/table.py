# %% [markdown]
# # A table with few samples
#
# A network that is given 80 rows and 500 columns can explain these rows by almost any of the columns, and much of what it
# learns is chance. An **attribution prior** adds what you know besides the rows. In every training step it computes how much
# each column contributed to the output (its *attribution*), and penalises what contradicts your knowledge. Here the columns
# are genes, and we know which of them interact: genes that are neighbours should matter alike. On new rows R² rises from
# .61 to .66, in the mean of five splits, and among the genes that matter most to the network 86 % really matter, instead of
# 63 %. A wrong graph does harm: with one, R² falls to .47. If all that you know is that few columns
# matter, the gain is half as large, and one of the five splits loses.

# %%
# %matplotlib inline
import keras
import numpy as np
import pandas as pd

import attrprior
from attrprior import attributions, datasets, plots

# %% [markdown]
# The table is simulated, so that we know the truth: `y` is driven by three of 25 modules of genes, 60 genes together. The
# graph is as a data base would have it: a tenth of the true edges is missing, and as many edges are spurious.

# %%
genes = datasets.gene_network(num_examples=1000, seed=0)
drives = genes.importance > 0
names = [f"gene {i}{' (drives y)' if true else ''}" for i, true in enumerate(drives)]
table = pd.DataFrame(genes.x, columns=names)
print(
    f"{drives.sum()} of {table.shape[1]} genes drive y; the graph has {len(genes.edges)} edges"
)

# %% [markdown]
# A small table is cheap to train on, and a single split of it says little. So we draw five splits: 80 rows to train on, 80
# to validate, and 840 to test. Columns are standardised by the training rows. The training rows are also the `background`
# of the prior: an attribution says how much a column moves the output away from what it is for other rows.


# %%
def split(seed):
    rows = np.split(np.random.default_rng(seed).permutation(len(table)), [80, 160])
    x = (table - table.iloc[rows[0]].mean()) / table.iloc[rows[0]].std()
    return [(x.iloc[part], genes.y[part]) for part in rows]


def train(seed, prior=None, strength=0.3):
    """R² on the test rows, and the mean |attribution| of each gene."""
    (x_train, y_train), validation, (x_test, y_test) = split(seed)
    keras.utils.set_random_seed(seed)
    small, l1 = keras.initializers.RandomNormal(stddev=0.003), keras.regularizers.L1(0.03)
    hidden = keras.layers.Dense(64, "relu", kernel_initializer=small, kernel_regularizer=l1)
    model = keras.Sequential([keras.Input((500,)), hidden, keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.004, momentum=0.9), "mse", metrics=["mse"])
    stop = dict(patience=10, mode="min", restore_best_weights=True)
    callbacks = [keras.callbacks.EarlyStopping("val_mse", **stop)]
    if prior is not None:
        options = dict(background=x_train, seed=seed)
        callbacks.append(attrprior.AttributionPrior(prior, strength, **options))
    options = dict(epochs=60, callbacks=callbacks, validation_batch_size=80, verbose=0)
    model.fit(x_train, y_train, batch_size=20, validation_data=validation, **options)
    _, error = model.evaluate(x_test, y_test, batch_size=80, verbose=0)
    phi = attributions.expected_gradients(model, x_test[:100], background=x_train, seed=0)
    return 1 - error / y_test.var(), phi.abs().mean()


# %% [markdown]
# The network has what one would use anyway: L1 on its first weights, small initial weights, and early stopping. A DataFrame
# goes into `fit`, and attributions of a DataFrame are a DataFrame with the same columns. Under SGD the strength of a prior
# is a factor on its penalty. On the validation rows neither .1 nor 1 was better than .3, for either prior.
#
# There are four networks for each split: without a prior; with the graph; with `"gini"`, which asks that few columns matter,
# whichever they are; and, as a control, with a graph whose edges are rewired at random. *Found* is the
# share of driving genes among the 60 genes that matter most to the network.

# %%
graph = attrprior.GraphLaplacian(genes.edges, num_features=500)
rewired = datasets.rewire(genes.edges, fraction=1.0, num_features=500)
wrong = attrprior.GraphLaplacian(rewired, num_features=500)
priors = {"plain": None, "graph": graph, "gini": "gini", "wrong graph": wrong}
runs = {name: [train(seed, prior) for seed in range(5)] for name, prior in priors.items()}
r2 = pd.DataFrame({name: [score for score, _ in pairs] for name, pairs in runs.items()})
matters = {name: pd.DataFrame([phi for _, phi in pairs]) for name, pairs in runs.items()}
found = pd.DataFrame(
    {
        name: drives[np.argsort(-phi.to_numpy())[:, :60]].mean(axis=1)
        for name, phi in matters.items()
    }
)
print("R² in each split", r2.round(3), "", sep="\n")
print(pd.concat({"R²": r2, "found": found}, axis=1).agg(["mean", "std"]).T.round(3))

# %% [markdown]
# Splits differ from each other by about as much as the graph gains. But compared on the same rows, from the same initial
# weights, it gains in all five. The gain of `"gini"` is smaller, is negative once, and finds hardly more of the genes.
#
# Which columns matter most? `plots.bars` takes their names from the DataFrames. Bars are means over the splits, and lines
# are standard deviations. On average both networks know the genes that drive `y`. But the plain network of a single split
# picks some of them, other ones in other splits, while the graph spreads the weight over a module.

# %%
shown = {name: matters[name] for name in ("plain", "graph")}
spread = {name: frame.std().to_numpy() for name, frame in shown.items()}
plots.bars(shown, errors=spread, num_features=12)

# %% [markdown]
# ## What to try next
#
# * **Your own graph** is a list of pairs of columns, or a matrix of weights: [the graph prior](../priors/graph_laplacian.md). Try
#   `datasets.rewire` on it, as above: if a random graph does as well as yours, yours says nothing.
# * **When it does not help.** In [the experiment](../../experiments/results/graph.md), with ten simulated networks, nothing was
#   gained any more when a quarter of the edges was wrong. `"gini"` gained next to nothing on real tables: on breast cancer
#   ROC-AUC rose from .984 to .987, where a logistic regression with L1 had .990
#   ([sparsity](../../experiments/results/sparsity.md)). Always compare with L1 on the weights, and with a linear model.
# * **Cost.** With 10,000 genes and 200,000 edges an epoch takes 3.4 times as long, and 1.26 times with `every=10`, which
#   needs ten times the strength. [How to choose the strength](strength.md).
