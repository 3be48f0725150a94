"""Near copies are found whatever the records are made of; what natural data resemble of themselves is no alarm."""

import numpy as np
import pytest

from privacy_callbacks.attacks.near_duplicates import NearDuplicateWatch, more_than_natural, near_groups


def watched(wanted, others, step=97, **arguments):
    watch = NearDuplicateWatch([wanted], **arguments)
    for start in range(0, len(others), step):
        watch([others[start : start + step]])
    return watch


def alarms(nonmembers, members, seed=0, step=10_000):
    """As `AuditSet` judges: the first members, as many as there are non-members, are looked for among all of them."""
    count = min(len(nonmembers), len(members))
    found, natural = (watched(wanted[:count], members, step, seed=seed).found.sum() for wanted in (nonmembers, members))
    return more_than_natural(int(found), int(natural), count)


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
    assert not alarms(wanted, others)
    alike = watched(wanted, others).found  # what the world itself brings
    assert alike.mean() < 0.05
    copies = altered(wanted[:30], rng)
    watch = watched(wanted, rng.permutation(np.concatenate([others, copies])))
    assert watch.found[:30].mean() >= 0.9
    np.testing.assert_array_equal(watch.found[30:], alike[30:])
    assert alarms(wanted, np.concatenate([others, copies]))


@pytest.mark.parametrize("kind", [unequal_units, smooth_images, draws, sentences])
def test_exact_copies_are_not_near_ones(kind):
    records = kind(np.random.default_rng(0), 200)
    members = np.concatenate([records[100:], records[:50]])
    assert watched(records[:100], members).found.mean() < 0.1
    assert not alarms(records[:100], members)


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine"])
def test_real_data_do_not_alarm_and_their_jittered_copies_do(name):
    datasets = pytest.importorskip("sklearn.datasets")
    x = getattr(datasets, f"load_{name}")().data
    rng = np.random.default_rng(1)
    x = x[rng.permutation(len(x))]
    wanted, others = x[: len(x) // 2], x[len(x) // 2 :]
    assert not alarms(wanted, others)
    copied = len(wanted) // 4
    members = np.concatenate([others, jittered(wanted[:copied], rng)])
    assert watched(wanted, members).found[:copied].mean() >= 0.9
    assert alarms(wanted, members)


def twins(rng, count):
    """A pool in which every record has one near copy, in random order."""
    originals = rng.normal(size=(count // 2, 12))
    return rng.permutation(np.concatenate([originals, originals + 1e-3]))


NULLS = {
    "one column": lambda rng, count: rng.normal(size=(count, 1)),
    "two columns": lambda rng, count: rng.normal(size=(count, 2)),
    "six columns": lambda rng, count: rng.normal(size=(count, 6)),
    "two heavy tails": lambda rng, count: rng.standard_cauchy(size=(count, 2)),
    "twins": twins,
    "walk": lambda rng, count: rng.permutation(np.cumsum(rng.normal(size=(count, 2)), axis=0)),
}


@pytest.mark.parametrize("order", ["random", "sorted"])
@pytest.mark.parametrize(("nonmembers", "members"), [(60, 60), (60, 600), (200, 200)])
@pytest.mark.parametrize("kind", NULLS)
def test_near_records_of_a_pool_split_at_random_are_natural_in_any_order(kind, nonmembers, members, order):
    """At most 1 % of such splits alarm: of 30, more than 3 have probability .0003."""
    found = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x = NULLS[kind](rng, nonmembers + members)
        kept = x[nonmembers:]
        sample = rng.permutation(members)
        stream = kept[np.argsort(kept[:, 0])] if order == "sorted" else kept
        natural = watched(kept[sample[:nonmembers]], stream, seed=seed).found.sum()
        near = watched(x[:nonmembers], stream, seed=seed).found.sum()
        found += more_than_natural(int(near), int(natural), nonmembers)
    assert found <= 3


@pytest.mark.parametrize("place", ["start", "end", "random"])
def test_copies_are_seen_wherever_they_stand(place):
    rng = np.random.default_rng(0)
    nonmembers, members = rng.normal(size=(200, 12)), rng.normal(size=(2_000, 12))
    copies = jittered(nonmembers[:20], rng)
    stream = {
        "start": np.concatenate([copies, members]),
        "end": np.concatenate([members, copies]),
        "random": rng.permutation(np.concatenate([members, copies])),
    }[place]
    assert watched(nonmembers, stream).found.sum() == 20
    natural = watched(members[:200], stream).found.sum()
    assert more_than_natural(20, int(natural), 200)


def test_groups_are_near_records_joined_directly_or_through_others():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 20))
    x[50:55] = x[0] + 0.02 * np.arange(1, 6)[:, None]  # a chain: each near the one before
    x[60] = x[1]
    groups = near_groups([x])
    assert len(set(groups[[0, 50, 51, 52, 53, 54]])) == 1
    assert groups[60] != groups[1]  # equal records may be values
    assert len(set(groups)) == 100 - 5


def test_where_everything_is_near_nothing_is_a_group():
    assert near_groups([np.random.default_rng(0).normal(size=(500, 1))]) is None


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
    groups = near_groups([wanted])
    assert groups is None or len(groups) == len(wanted)
