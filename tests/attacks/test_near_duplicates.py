"""Near copies are found whatever the records are made of; what natural data resemble of themselves is no alarm."""

import numpy as np
import pytest

from privacy_callbacks.attacks.near_duplicates import NearDuplicateWatch


def watched(wanted, others, step=97, **arguments):
    watch = NearDuplicateWatch([wanted], **arguments)
    for start in range(0, len(others), step):
        watch([others[start : start + step]])
    return watch


def jittered(rows, rng):
    return rows + 0.02 * rows.std(axis=0) * rng.normal(size=rows.shape)


def noisy(rows, rng):
    return np.clip(rows + rng.integers(-4, 5, rows.shape), 0, 255).astype(np.uint8)


def brighter(rows, rng):
    return np.clip(rows * 1.05, 0, 255).astype(np.uint8)


def two_tokens_replaced(rows, rng):
    rows = rows.copy()
    for row in rows:
        row[rng.integers(0, len(row), 2)] = rng.integers(1, 5_000, 2)
    return rows


def one_letter_replaced(rows, rng):
    places = rng.integers(0, 40, len(rows))
    return np.array([row[:i] + "#" + row[i + 1 :] for row, i in zip(rows, places, strict=True)], object)


def smooth_images(rng, count):
    """Sums of a few broad bumps."""
    grid = np.arange(16)
    bump = np.exp(-np.square(grid - rng.uniform(0, 16, (count, 5, 2, 1))) / 18)
    return (90 * np.einsum("nki,nkj->nij", bump[:, :, 0], bump[:, :, 1])).clip(0, 255).astype(np.uint8)


def sentences(rng, count):
    letters = np.array(list("etaoinshrdlu"))
    words = np.array(["".join(rng.choice(letters, rng.integers(2, 8))) for _ in range(200)])
    return np.array([" ".join(rng.choice(words, 15)) for _ in range(count)], object)


def unequal_units(rng, count):
    return rng.normal(size=(count, 20)) * 10.0 ** rng.integers(-3, 4, 20)


def draws(rng, count):
    return rng.zipf(1.2, (count, 200)) % 5_000 + 1


COPIES = [
    (unequal_units, jittered),
    (smooth_images, noisy),
    (smooth_images, brighter),
    (draws, two_tokens_replaced),
    (sentences, one_letter_replaced),
]


@pytest.mark.parametrize(("kind", "altered"), COPIES, ids=[altered.__name__ for _, altered in COPIES])
def test_slightly_altered_copies_are_found_and_nothing_else(kind, altered):
    rng = np.random.default_rng(0)
    records = kind(rng, 600)
    wanted, others = records[:200], records[200:]
    assert not watched(wanted, others).excess()
    alike = watched(wanted, others).found  # what the world itself brings
    assert alike.mean() < 0.05
    copies = altered(wanted[:30], rng)
    watch = watched(wanted, rng.permutation(np.concatenate([others, copies])))
    assert watch.found[:30].mean() >= 0.9
    np.testing.assert_array_equal(watch.found[30:], alike[30:])
    assert watch.excess()


@pytest.mark.parametrize("kind", [unequal_units, smooth_images, draws, sentences])
def test_exact_copies_are_not_near_ones(kind):
    records = kind(np.random.default_rng(0), 200)
    watch = watched(records[:100], np.concatenate([records[100:], records[:50]]))
    assert watch.found.mean() < 0.1
    assert not watch.excess()


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine"])
def test_real_data_do_not_alarm_and_their_jittered_copies_do(name):
    datasets = pytest.importorskip("sklearn.datasets")
    x = getattr(datasets, f"load_{name}")().data
    rng = np.random.default_rng(1)
    x = x[rng.permutation(len(x))]
    wanted, others = x[: len(x) // 2], x[len(x) // 2 :]
    assert not watched(wanted, others).excess()
    watch = watched(wanted, np.concatenate([others, jittered(wanted[:20], rng)]))
    assert watch.found[:20].mean() >= 0.9
    assert watch.excess()


@pytest.mark.parametrize("columns", [1, 2, 3, 6])
@pytest.mark.parametrize(("wanted", "others"), [(60, 40), (60, 60), (60, 600)])
def test_near_records_of_few_columns_are_natural(columns, wanted, others):
    """Level .99: more than 3 false alarms of 40 have probability .0006."""
    alarms = 0
    for seed in range(40):
        x = np.random.default_rng([seed, columns]).normal(size=(wanted + others, columns))
        alarms += watched(x[:wanted], x[wanted:], step=10_000, seed=seed).excess()
    assert alarms <= 3


def test_what_is_natural_is_as_much_as_is_found_where_nothing_was_copied():
    """Both estimate the same probability; over 30 worlds of 200 their sums agree within a tenth."""
    found, natural = [], []
    for seed in range(30):
        x = np.random.default_rng(seed).normal(size=(1_400, 4))
        watch = watched(x[:200], x[200:], seed=seed)
        found.append(watch.found.sum())
        natural.append(watch.natural)
    assert np.mean(found) > 20
    assert np.sum(natural) == pytest.approx(np.sum(found), rel=0.1)


def test_what_is_found_does_not_depend_on_batches():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 5))
    by_batch = [watched(x[:200], x[200:], step=step).found for step in (1, 64, 10_000)]
    near = np.zeros(200, bool)
    scaled = x / np.diff(np.percentile(x[:200], (10, 90), axis=0), axis=0)
    pairs = rng.integers(0, 200, (2, 100_000))
    apart = np.linalg.norm(scaled[pairs[0]] - scaled[pairs[1]], axis=1)
    limit = 0.1 * np.median(apart[apart > 0])
    for row in range(200):
        near[row] = (np.linalg.norm(scaled[row] - scaled[200:], axis=1) < limit).any()
    np.testing.assert_array_equal(by_batch[0], by_batch[1])
    np.testing.assert_array_equal(by_batch[0], by_batch[2])
    assert (by_batch[0] == near).mean() > 0.97  # the limit itself is the median of 1,000 pairs


def test_floats_and_strings_must_both_be_near():
    rng = np.random.default_rng(0)
    numbers, words = rng.normal(size=(200, 10)), sentences(rng, 200)
    watch = NearDuplicateWatch([numbers[:100], words[:100]])
    close = jittered(numbers[:20], rng)
    watch([close, words[100:120]])
    watch([numbers[100:120], one_letter_replaced(words[:20], rng)])
    assert not watch.found.any()
    watch([close, one_letter_replaced(words[:20], rng)])
    assert watch.found[:20].mean() >= 0.9
    assert not watch.found[20:].any()


def test_no_more_than_asked_are_examined_and_it_shows():
    x = np.random.default_rng(0).normal(size=(300, 10))
    late = np.concatenate([x[100:], x[:20] + 1e-3])
    watch = watched(x[:100], late, max_examined=200)
    assert (watch.examined, watch.capped, int(watch.found.sum())) == (200, True, 0)
    whole = watched(x[:100], late, max_examined=220)
    assert (whole.examined, whole.capped, int(whole.found.sum())) == (220, False, 20)


@pytest.mark.parametrize(
    ("wanted", "others"),
    [
        (np.ones((30, 4)), np.ones((50, 4))),
        (np.ones((30, 4)), np.random.default_rng(0).normal(size=(50, 4))),
        (np.ones((1, 4)), np.ones((50, 4)) + 1e-3),
        (np.zeros((30, 0)), np.zeros((50, 0))),
        (np.zeros(30, int), np.zeros(50, int)),
        (np.array([""] * 30, object), np.array([""] * 50, object)),
        (np.random.default_rng(0).normal(size=(30, 4)), np.zeros((0, 4))),
        (np.full((30, 2), 1e30) * [[1, -1]], np.full((50, 2), -1e30)),
    ],
)
def test_degenerate_records_neither_fail_nor_alarm(wanted, others):
    watch = NearDuplicateWatch([wanted])
    watch([others])
    assert not watch.found.any()
    assert watch.natural == 0
    assert not watch.excess()


@pytest.mark.slow
@pytest.mark.parametrize("columns", [1, 2, 6])
def test_false_alarms_stay_below_the_level(columns):
    """400 draws at 1 %: no more than the binomial's 99.9 % quantile, 11."""
    alarms = 0
    for seed in range(400):
        x = np.random.default_rng([seed, columns]).normal(size=(1_200, columns))
        alarms += watched(x[:200], x[200:], step=10_000, seed=seed).excess(0.99)
    assert alarms <= 11
