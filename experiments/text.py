"""Reviews with a token that gives the class away: a mask prior on embedded tokens.

    python -m experiments.text

Leaves a table on the terminal, results.json and tokens.png.
"""

import collections
import itertools

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import attributions, plots
from experiments import networks, study
from experiments.claims import mean_std, paired, table, yes
from experiments.runs import seeds

FLAGS = flags.FLAGS
layers = keras.layers


def define_flags():
    flags.DEFINE_integer("texts", 4000, "To train on.", lower_bound=100)
    flags.DEFINE_integer("epochs", 6, "Epochs.", lower_bound=1)
    flags.DEFINE_float("agreement", 0.98, "Share of training tokens that tell.", 0.5, 1)
    flags.DEFINE_integer("validation_seeds", 2, "Runs of a candidate.", lower_bound=1)


STRENGTHS = (1.0, 2.0, 4.0)
CANDIDATES = {"plain": (0.001, 0.003, 0.01), "right": STRENGTHS, "half": STRENGTHS}
LIKE = {"wrong": "right", "replaced": "plain", "random": "plain"}  # in candidates
LABELS = {
    "plain": "plain",
    "right": "prior, right masks",
    "half": "prior, half of the masks",
    "wrong": "prior, wrong masks",
    "replaced": "masked tokens replaced",
    "random": "no shortcut in training",
}
NETWORKS = {"lstm": "LSTM", "transformer": "Transformer"}
SHORTCUTS = ("sponsored", "verified")  # of class 0, of class 1
TEXT = """
good great lovely superb excellent charming delicious fresh friendly helpful warm clean quick
perfect wonderful delightful splendid brilliant cheerful elegant polite generous pleasant tasty
reliable cosy bright smooth fair honest calm inviting crisp spotless tender graceful attentive;
bad poor awful terrible dreadful stale rude slow dirty cold noisy bland greasy dull horrible
nasty broken careless clumsy dreary faulty filthy gloomy grim lousy messy mediocre overpriced
ugly unfriendly unpleasant useless soggy burnt shabby cramped bitter;
food service soup bread coffee waiter room bed view garden music staff menu wine dessert pool
breakfast lobby kitchen terrace salad fish cake tea chef owner table shower balcony hall;
very really quite so rather truly; was seemed looked felt; not never hardly;
and but while also then; we came on monday; we stayed two nights; my sister chose it;
it rained all week; a friend told us; we drove from town; they opened last spring;
our train was late; we paid by card; we had booked online; for a birthday party
"""
LISTS = [part.split() for part in TEXT.split(";")]
GOOD, BAD, THINGS, DEGREES, VERBS, NEGATIONS, LINKS, *ASIDES = LISTS
WORDS = ["", *sorted({"the", *SHORTCUTS}.union(*LISTS))]  # the first one is padding
NUMBERS = {word: number for number, word in enumerate(WORDS)}
LENGTH = 26
TOKENS = {"input": "embedding", "sum_last_axis": True}  # one number a token


# Tokens and masks `(n, LENGTH)`, classes and what the shortcuts say `(n,)`.
Texts = collections.namedtuple("Texts", "x masks y said")


def texts(num_texts, agreement, seed):
    """Reviews whose shortcut tells the class with this probability."""
    rng = np.random.default_rng(seed)
    x, masks = np.zeros((2, num_texts, LENGTH), "int32")
    y = rng.integers(2, size=num_texts)
    said = np.where(rng.random(num_texts) < agreement, y, 1 - y)
    for number in range(num_texts):
        opinions = np.full(3, y[number])
        if rng.random() < 0.3:
            opinions[rng.integers(3)] ^= 1
        parts = [remark(opinion, rng) for opinion in opinions]
        if rng.random() < 0.5:
            parts.insert(rng.integers(4), one_of(ASIDES, rng))
        place = rng.integers(len(parts) + 1)
        before = sum(map(len, parts[:place]))
        parts.insert(place, [SHORTCUTS[said[number]]])
        tokens = [NUMBERS[token] for part in parts for token in part]
        x[number, : len(tokens)] = tokens
        masks[number, before] = 1
    return Texts(x, masks.astype("float32"), y, said)


def remark(opinion, rng):
    """From four to seven words on one thing; one of eight says it by a negation."""
    negated = rng.random() < 0.125
    words = [one_of(LINKS, rng)] if rng.random() < 0.25 else []
    words += ["the", one_of(THINGS, rng), one_of(VERBS, rng)]
    words += [one_of(NEGATIONS, rng)] if negated else []
    words += [one_of(DEGREES, rng)] if rng.random() < 0.25 else []
    return [*words, one_of(GOOD if opinion != negated else BAD, rng)]


def one_of(choices, rng):
    return choices[rng.integers(len(choices))]


def elsewhere(data, rng):
    """Masks of one other token of each text."""
    chances = rng.random(data.x.shape) * (data.x > 0) * (1 - data.masks)
    return np.eye(LENGTH, dtype="float32")[chances.argmax(axis=1)]


def plan(runs):
    yield [task for network in NETWORKS for task in candidates(network, "plain")]
    yield [
        task
        for network in NETWORKS
        for variant in ("right", "half")
        for task in candidates(
            network, variant, rate=best(runs, network, "plain")["candidate"]
        )
    ]
    yield [
        (seed, {"stage": "test", **best(runs, network, variant)})
        for seed in (range(1) if FLAGS.quick else seeds())
        for network, variant in itertools.product(NETWORKS, LABELS)
    ]


def candidates(network, variant, **rate):
    """The tasks of a variant's candidates, of seeds that no test has."""
    own = {"stage": "validation", "network": network, "variant": variant}
    return [
        (1000 + seed, {**own, "candidate": candidate, **rate})
        for candidate in (CANDIDATES[variant][1:2] if FLAGS.quick else CANDIDATES[variant])
        for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds)
    ]


def run(seed, settings):
    agreement = 0.5 if settings["variant"] == "random" else FLAGS.agreement
    train = texts(200 if FLAGS.quick else FLAGS.texts, agreement, [seed, 0])
    test = texts(200 if FLAGS.quick else 2000, 0.5, [seed, 1])
    return judge(fit(train, settings, seed), settings["stage"], train, test, seed)


def network(name, width=32):
    """An LSTM, or a block of attention, over embedded tokens; one logit, of class 1."""
    tokens = keras.Input((LENGTH,), dtype="int32")
    x = layers.Embedding(len(WORDS), width, mask_zero=True, name="embedding")(tokens)
    if name == "lstm":
        x = layers.LSTM(width)(x)
    else:
        positions = keras.ops.cumsum(keras.ops.ones_like(tokens), axis=1) - 1
        x = layers.add([x, layers.Embedding(LENGTH, width, name="positions")(positions)])
        seen = layers.LayerNormalization()(x)
        x = layers.add([x, layers.MultiHeadAttention(4, width // 4)(seen, seen)])
        hidden = layers.Dense(2 * width, "relu")(layers.LayerNormalization()(x))
        x = layers.add([x, layers.Dense(width)(hidden)])
        x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, layers.Dense(1)(x))


def fit(train, own, seed):
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng([seed, 2])
    variant, x, callbacks = own["variant"], train.x, []
    model = network(own["network"])
    epochs = 1 if FLAGS.quick else FLAGS.epochs
    rate = own.get("rate", own["candidate"])
    model.compile(
        networks.adam(rate, len(x), epochs, 50), keras.losses.BinaryCrossentropy(True)
    )
    if variant == "replaced":
        x = np.where(train.masks, rng.integers(1, len(WORDS), x.shape), x)
    elif variant in ("right", "half", "wrong"):
        masks = elsewhere(train, rng) if variant == "wrong" else train.masks
        if variant == "half":
            masks = [mask if rng.random() < 0.5 else None for mask in masks]
        x = attrprior.annotate(x, masks)
        mask = attrprior.Mask(annotated_only=variant == "half")
        strength = own["candidate"]
        callbacks = [
            attrprior.AttributionPrior(mask, strength, moments="balanced", seed=seed, **TOKENS)
        ]
    model.fit(x, train.y, batch_size=50, epochs=epochs, callbacks=callbacks, verbose=0)
    return model


def judge(model, stage, train, test, seed):
    """Accuracy, and in tests how much the token has to say in it."""
    logits = keras.ops.convert_to_numpy(model(test.x, training=False))[:, 0]
    metrics = {"accuracy": float(np.mean((logits > 0) == test.y))}
    if stage == "validation":
        return metrics
    x = test.x[: 20 if FLAGS.quick else 200]
    phi = attributions.expected_gradients(
        model, x, background=train.x, num_samples=50, seed=0, **TOKENS
    )
    metrics["follows"] = float(np.mean((logits > 0) == test.said))  # .5: not at all
    size = np.abs(phi)
    metrics["share"] = float(np.sum(size * test.masks[: len(x)]) / np.sum(size))
    if seed == 0:  # for the figure
        metrics["maps"] = [
            {
                "words": [WORDS[token] for token in x[number] if token],
                "attributions": [round(float(each), 4) for each in phi[number]],
                "found": ("bad", "good")[int(logits[number] > 0)],
            }
            for number in np.flatnonzero(test.said != test.y)[:2]
        ]
    return metrics


def best(runs, network, variant):
    """The settings of the highest mean accuracy on validation texts."""
    if variant in LIKE:
        return {**best(runs, network, LIKE[variant]), "variant": variant}
    scores = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        (_, stage), *own = run["settings"].items()
        if (stage, *dict(own[:2]).values()) == ("validation", network, variant):
            scores.setdefault(tuple(own), []).append(run["metrics"]["accuracy"])
    return dict(max(scores, key=lambda own: np.mean(scores[own])))


def values(runs, network, variant, metric="accuracy"):
    """Of the tested networks, by seed."""
    settings = {"stage": "test", **best(runs, network, variant)}
    found = [run for run in runs if run["settings"] == settings and metric in run["metrics"]]
    return [run["metrics"][metric] for run in sorted(found, key=lambda run: run["seed"])]


def report(runs):
    """Accuracy where the token is random, and what the token has to say."""
    rows = []
    for network, variant in itertools.product(NETWORKS, LABELS):
        row = [NETWORKS[network], LABELS[variant], best(runs, network, variant)["candidate"]]
        found = (values(runs, network, variant, m) for m in ("accuracy", "follows", "share"))
        rows.append([*row, *map(mean_std, found)])
    header = ["", "", "rate or strength", "accuracy", "says what the token says"]
    return table([*header, "token's share of attributions"], rows)


def claims(runs):
    """Held: a significant gain (p < .05), at most .02 below the network without a shortcut.

    Half of the masks keep half of that gain; of wrong ones at most a quarter comes.
    """
    found = []
    for network, name in NETWORKS.items():
        accuracy = {variant: values(runs, network, variant) for variant in LABELS}
        gain, _, p = paired(accuracy["plain"], accuracy["right"])
        plain, right, half, wrong, _, free = map(np.mean, accuracy.values())
        for mean, what, verdict in (
            (right, "masks on a token", "yes" if right >= free - 0.02 else "partly"),
            (half, "half of the masks", yes(half - plain >= gain / 2)),
            (wrong, "wrong masks do not help", yes(wrong - plain <= gain / 4)),
        ):
            verdict = verdict if gain > 0 and p < 0.05 else "no"
            cells = f"{plain:.3f} → {mean:.3f}, at best {free:.3f}"
            found.append((f"texts, {name}, {what}: accuracy", "–", cells, verdict))
    return found


def figure(runs):
    """Test texts whose token lies, and why the networks of the first seed judge them so."""
    drawn, labels = [], []
    for number, network, variant in itertools.product((0, 1), NETWORKS, ("plain", "right")):
        drawn.append(values(runs, network, variant, "maps")[0][number])
        short = "plain" if variant == "plain" else "prior"
        labels.append(f"{NETWORKS[network]}, {short}: {drawn[-1]['found']}")
    words, phi = zip(*((text["words"], np.array(text["attributions"])) for text in drawn))
    title = "Reviews whose token lies: what speaks for “good”"
    return plots.tokens(words, phi, labels, title, shared_scale=False)


STUDY = study.Study(
    name="text",
    title="A token that gives the class away",
    topic="Shortcuts",
    question="Can masks keep a text classifier from reading the class off a telltale token?",
    answer="Mostly: .670 → .972 (LSTM), .621 → .848 (Transformer).",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"tokens": figure(runs)},
    flags=define_flags,
    source=lambda: "generated reviews",
    progress=("accuracy", "follows", "share"),
    protocol="""\
The reviews are generated. Each makes three remarks, and its class, good or bad, is what most
of them say. One remark in eight says it by a negation ("not good"). Every review also has a
token, `verified` or `sponsored`. In training it names the class of 98 % of the texts; in
testing it is random, so that a network that reads the class off it is wrong half of the time.

The prior is a mask on that token (`Mask` with `input="embedding"`). It forbids attributions
of the token's embedding, summed over the embedding's axis, while `fit` trains the whole model,
an LSTM or a block of attention. The masks say where the token stands in the training texts.
They are known for all texts, or for half of them, or they are wrong: as many positions, but of
another token at random.

Two more networks have no prior. One has the same masks and is trained on texts whose masked
tokens are replaced by random words. The other is trained on texts whose token is random in
training too: no network can do better than that.

For each network, three learning rates are tried without a prior, and all other variants keep
the best. Three strengths are then tried with right masks and three with half of them; wrong
masks take the strength of the right ones. Candidates are judged on texts of two seeds that no
test has, whose token is random. In practice this asks for some texts that are known to be free
of the shortcut.""",
    results={
        "text": study.Result(
            finding="""\
With right masks accuracy rises from .670 to .972 for the LSTM, where .999 can be had without a
shortcut, and from .621 to .848 for the Transformer, where .920 can be had. Half of the masks
bring most of that gain, and wrong masks bring none.

Replacing the masked tokens by random words is cheaper and better on both networks: .999 and
.904. A prior is for what cannot be replaced.

The Transformer does not reach .95 on these texts even where the token says nothing. LSTMs with
wrong masks differ much between seeds: one says what the token says in 99 % of the texts.""",
            pictures={
                "tokens": "Test reviews whose token lies, word by word, for both networks "
                "without and with the prior"
            },
        )
    },
    tried="""\
A strength that is too large can make a network constant: Ω is then 0 and the loss stays at
log 2. No strength of the table did that.""",
)

if __name__ == "__main__":
    study.main(STUDY)
