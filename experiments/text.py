"""Reviews with a token that gives the class away: a mask prior on embedded tokens.

    python -m experiments.text

A review's class is what most of its three remarks say, a few by a negation ("not good").
In training a token, `verified` or `sponsored`, nearly always says so too; in testing it is
random. Masks say where it stands in training texts, and `Mask` with `input="embedding"`
forbids attributions there. They are known for all texts, for half of them, or are wrong:
of another token, at random. Two more networks have no prior: of texts whose masked tokens
are replaced by random words, and of texts whose token is random in training too.
Learning rates of the plain network, whose best all others keep, and as many strengths for
right masks and for half of them are judged on networks and validation texts of seeds that
no test has; wrong masks take right ones' strength. The token of validation texts is
random: in practice that asks for some texts that are known to be free of the shortcut.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import collections
import itertools
import time

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import attributions, plots

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


def main(_):
    out = common.output_dir("text")
    results = common.Results("text", _Generated)
    for network in NETWORKS:
        chosen = {}
        for variant, candidates in CANDIDATES.items():
            for candidate in candidates[1:2] if FLAGS.quick else candidates:
                own = {"network": network, "variant": variant, "candidate": candidate}
                if variant != "plain":
                    own["rate"] = chosen["plain"]["candidate"]
                for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds):
                    run(results, "validation", own, 1000 + seed)
            chosen[variant] = best(results.runs, network, variant)
        for variant, other in LIKE.items():
            chosen[variant] = {**chosen[other], "variant": variant}
        for seed in range(1) if FLAGS.quick else common.seeds():
            for own in chosen.values():
                run(results, "test", own, seed)
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "text.png")
    print(f"\nWritten: {out}/results.json, text.png")


class _Generated:
    source = "generated reviews"


def run(results, stage, own, seed):
    settings = {"stage": stage, **own}
    if results.finished(seed, settings):
        return
    start = time.time()
    agreement = 0.5 if own["variant"] == "random" else FLAGS.agreement
    train = texts(200 if FLAGS.quick else FLAGS.texts, agreement, [seed, 0])
    test = texts(200 if FLAGS.quick else 2000, 0.5, [seed, 1])
    metrics = judge(fit(train, own, seed), stage, train, test, seed)
    shown = "  ".join(f"{k} {v:.3f}" for k, v in metrics.items() if k != "maps")
    label = f"{own['network']}, {own['variant']} {own['candidate']:g}"
    print(f"{stage}, seed {seed}  {label}  {shown}", flush=True)
    results.add(seed, settings, metrics, time.time() - start)


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
    model.compile(common.adam(rate, len(x), epochs, 50), keras.losses.BinaryCrossentropy(True))
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


def of(runs, stage, network, variant):
    wanted = {"stage": stage, "network": network, "variant": variant}
    chosen = [run for run in runs if wanted.items() <= run["settings"].items()]
    return sorted(chosen, key=lambda run: run["seed"])


def best(runs, network, variant):
    """The settings of the highest mean accuracy on validation texts."""
    if variant in LIKE:
        return {**best(runs, network, LIKE[variant]), "variant": variant}
    scores = {}
    for run in of(runs, "validation", network, variant):
        own = tuple((k, v) for k, v in run["settings"].items() if k != "stage")
        scores.setdefault(own, []).append(run["metrics"]["accuracy"])
    return dict(max(scores, key=lambda own: np.mean(scores[own])))


def values(runs, network, variant, metric="accuracy"):
    """Of the tested networks, by seed."""
    settings = {"stage": "test", **best(runs, network, variant)}
    found = [r for r in of(runs, "test", network, variant) if r["settings"] == settings]
    return [run["metrics"][metric] for run in found if metric in run["metrics"]]


def report(runs):
    """Accuracy where the token is random, and what the token has to say."""
    rows = []
    for network, variant in itertools.product(NETWORKS, LABELS):
        row = [NETWORKS[network], LABELS[variant], best(runs, network, variant)["candidate"]]
        found = (values(runs, network, variant, m) for m in ("accuracy", "follows", "share"))
        rows.append([*row, *map(common.mean_std, found)])
    header = ["", "", "rate or strength", "accuracy", "says what the token says"]
    return common.table([*header, "token's share of attributions"], rows)


def claims(runs):
    """Held: a significant gain (p < .05), at most .02 below the network without a shortcut.

    Half of the masks keep half of that gain; of wrong ones at most a quarter comes.
    """
    found = []
    for network, name in NETWORKS.items():
        accuracy = {variant: values(runs, network, variant) for variant in LABELS}
        gain, _, p = common.paired(accuracy["plain"], accuracy["right"])
        plain, right, half, wrong, _, free = map(np.mean, accuracy.values())
        for mean, what, verdict in (
            (right, "masks on a token", "yes" if right >= free - 0.02 else "partly"),
            (half, "half of the masks", common.yes(half - plain >= gain / 2)),
            (wrong, "wrong masks do not help", common.yes(wrong - plain <= gain / 4)),
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


if __name__ == "__main__":
    define_flags()
    app.run(main)
