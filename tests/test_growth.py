"""What grows with the number of scores, records, models, points and epochs, and what must not. No clock is asserted.

The slow tests run benchmarks/growth.py at its thin sizes; each size is measured in a process of its own.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from held_memory import peak

import privacy_callbacks.attacks.sampling as sampling
from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import Threshold
from privacy_callbacks.attacks.near_duplicates import NearDuplicateWatch
from privacy_callbacks.attacks.record_arrays import Records
from privacy_callbacks.attacks.sampling import draw

ROOT = Path(__file__).parents[1]
MIB = 2**20


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import growth

    yield growth
    for name in ("growth", "long_runs"):
        sys.modules.pop(name, None)


@pytest.fixture
def long_runs(growth):
    return sys.modules["long_runs"]


@dataclass(frozen=True)
class Batches:
    """A stream of equal batches."""

    count: int
    rows: int
    side: str = "members"

    def __iter__(self):
        batch = Records(np.zeros((self.rows, 2), np.float32), np.zeros(self.rows, np.int64))
        return (batch for _ in range(self.count))


# Drawing


def test_drawing_joins_as_many_numbers_whatever_the_batches(monkeypatch):
    """Joined batch by batch they would be as many as the square of the records."""
    concatenate = np.concatenate
    for batches, rows in ((10, 2_000), (2_000, 10)):
        joined = []

        def counted(parts, *more, joined=joined, **options):
            parts = list(parts)
            joined.append(sum(np.size(part) for part in parts))
            return concatenate(parts, *more, **options)

        monkeypatch.setattr(sampling.np, "concatenate", counted)
        assert draw(Batches(batches, rows), 50_000, seed=0).total == 20_000
        monkeypatch.undo()
        assert sum(joined) <= 6 * 20_000  # keys, positions, two inputs, a label


def test_drawing_holds_nothing_of_batches_of_which_nothing_is_wanted():
    draw(Batches(2, 25), 10, seed=0)
    assert peak(lambda: draw(Batches(8_000, 25), 10, seed=0)) <= MIB / 2  # empty parts of them would take two


def test_looking_for_near_copies_takes_bounded_memory_however_many_are_looked_for():
    rng = np.random.default_rng(0)
    wanted, passing = rng.random((60_000, 4), np.float32), rng.random((600, 4), np.float32)
    watch = NearDuplicateWatch([wanted])
    assert peak(lambda: watch([passing])) <= 128 * MIB  # 512 passing ones at once would take 369


# Epochs


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate")
def test_thirty_audits_leave_handles_and_traces_as_they_were(long_runs, tmp_path):
    drive_by_hand(long_runs, tmp_path, warm=5, epochs=30)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate")
def test_hundreds_of_audits_leave_handles_and_traces_as_they_were(long_runs, tmp_path):
    """The benchmark runs a thousand."""
    grown = drive_by_hand(long_runs, tmp_path, warm=100, epochs=300)
    assert grown <= 30  # MiB; ten reports of 5 KiB, a curve, losses and scores of 200 audits are 11


def drive_by_hand(long_runs, folder, warm, epochs):
    """Keras' hooks without its fit; MiB that the process grew by after `warm` of the epochs."""
    model, runs = long_runs.counted_model()
    mia = MIACallback(
        long_runs.noise(100),
        long_runs.noise(100, seed=1),
        attacks=[Threshold("loss"), Threshold("entropy")],
        log_dir=folder,
        log_records=3,
        slices="class",
    )
    mia.set_model(model)
    mia.set_params({"epochs": epochs, "steps": 1})
    before = long_runs.handles()
    mia.on_train_begin()
    for epoch in range(epochs):
        mia.on_epoch_begin(epoch)
        model.set_weights([weights * 1.001 for weights in model.get_weights()])  # another model each time
        mia.on_epoch_end(epoch, {"loss": 1.0})
        if epoch + 1 == warm:
            held = long_runs.handles(), len(runs), long_runs.resident()
    assert (long_runs.handles(), len(runs)) == held[:2]
    grown = long_runs.resident() - held[2]
    mia.on_train_end()
    assert long_runs.handles() == before
    assert len(runs) == held[1]
    assert len({report.step for report in mia.reports}) == epochs + 1
    return grown


@pytest.mark.slow
@pytest.mark.parametrize(("case", "most_kib"), [("epochs", 250)])
def test_a_fit_grows_by_what_it_keeps_for_its_user_and_by_nothing_else(growth, case, most_kib):
    found = growth.alone(case, 200)
    before, early, late, after = found["handles"]
    assert (early, after) == (late, before)
    assert found["traces"][0] == found["traces"][1]
    # Of 2,000 records: the headline's curve 48 KiB an epoch, losses and scores 16, seven reports 35.
    assert found["kib_an_epoch"] <= most_kib


# Sizes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("curve", "most_exponent", "most_mib"),
    [
        ("scores", 1.2, 64),  # of a million
        ("sketch", 0.5, 40),  # of ten million
        ("records", 1.2, 300),  # of a hundred thousand
        ("source", 0.5, 60),  # of a hundred thousand, of which four thousand are audited
        ("models", 1.2, 60),  # 32
    ],
)
def test_memory_grows_no_faster_than_what_is_asked_for(growth, curve, most_exponent, most_mib):
    _, exponent, found = growth.table(curve, thin=True)
    largest = list(found.values())[-1]
    assert largest["over"] <= most_mib
    assert exponent <= most_exponent


@pytest.mark.slow
def test_an_audit_set_is_drawn_from_a_stream_without_holding_it(growth):
    found = growth.alone("memory", 50_000)
    assert (found["found"], found["drawn"]) == (50_000, 4_000)
    assert found["over_start_mib"] <= 80 < found["data_mib"]


# The benchmark itself


def test_an_exponent_is_that_of_the_upper_half(growth):
    sizes = [1, 10, 100, 1_000]
    assert growth.exponent(sizes, [7, 7, 100, 10_000]) == pytest.approx(2)
    assert growth.exponent([1, 10], [3, 30]) == pytest.approx(1)
    assert growth.decades(3, 4) == (1_000, 3_000, 10_000)


def test_the_page_tells_of_every_curve(growth):
    page = (ROOT / "docs" / "scale.md").read_text()
    assert [name for name in growth.CURVES if f"`{name}`" not in page] == []
    assert max(len(line) for line in page.splitlines() if not line.startswith("|")) <= 130
