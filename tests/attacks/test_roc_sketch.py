"""A sketch against the exact curve of the same scores: what it promises must hold for every order, every batch, every merge."""

import tracemalloc
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy_callbacks.attacks import RocCurve, RocSketch
from privacy_callbacks.attacks.auc import area_and_variance, auc
from privacy_callbacks.attacks.low_fpr import tpr_at_fpr
from privacy_callbacks.attacks.roc_sketch import largest_part


def world(count, seed=0, gain=0.5, decimals=None):
    rng = np.random.default_rng(seed)
    is_member = rng.random(count) < 0.4
    scores = rng.normal(size=count) + gain * is_member
    return (scores if decimals is None else np.round(scores, decimals)), is_member


def with_extremes(count):
    scores, is_member = world(count)
    return np.where(scores > 1.2, np.inf, np.where(scores < -1.2, -np.inf, scores)), is_member


def reordered(count, order):
    scores, is_member = world(count)
    return scores[(rows := order(scores))], is_member[rows]


def inwards(scores):
    """Lowest, highest, second lowest, …"""
    ranks, half = np.argsort(scores), len(scores) // 2
    return np.stack([ranks[:half], ranks[: half - 1 : -1]], axis=1).ravel()


STREAMS = {
    "random": world,
    "ascending": lambda n: reordered(n, np.argsort),
    "descending": lambda n: reordered(n, lambda scores: np.argsort(-scores)),
    "inwards": lambda n: reordered(n, inwards),
    "outwards": lambda n: reordered(n, lambda scores: inwards(scores)[::-1]),
    "all equal": lambda n: (np.zeros(n), world(n)[1]),
    "heavy ties": lambda n: world(n, decimals=1),
    "infinities": with_extremes,
}


def sketched(scores, is_member, capacity, batch):
    sketch = RocSketch(capacity)
    for start in range(0, len(scores), batch):
        sketch.add(scores[start : start + batch], is_member[start : start + batch])
    return sketch


def accused(curve, thresholds):
    """(members, non-members) at or above each threshold."""
    points = np.searchsorted(-curve.thresholds[1:], -thresholds, side="right")
    return curve.true_positives[points], curve.false_positives[points]


def errors(sketch, scores, is_member):
    """The errors of the TPR and of the FPR at every threshold that matters: a sketch holds no scores but those it was given."""
    exact = RocCurve.from_scores(scores, is_member)
    (tp, fp), (true_tp, true_fp) = (accused(curve, exact.thresholds[1:]) for curve in (sketch.roc(), exact))
    return (tp - true_tp) / exact.num_members, (fp - true_fp) / exact.num_nonmembers


def levels_compacted(count, capacity):
    return 1 + int(np.log2(count / capacity))


def assert_within_its_bounds(sketch, scores, is_member, merged):
    tpr, fpr = errors(sketch, scores, is_member)
    assert np.abs(tpr).max() <= sketch.tpr_error
    assert np.abs(fpr).max() <= sketch.fpr_error
    curve, members = sketch.roc(), int(is_member.sum())
    assert (curve.num_members, curve.num_nonmembers) == (members, is_member.size - members)
    assert (sketch.num_members, sketch.num_nonmembers) == (members, is_member.size - members)
    stored, k = 0.0, sketch.capacity
    for side, error in ((members, sketch.tpr_error), (is_member.size - members, sketch.fpr_error)):
        compacted = levels_compacted(side, k)
        assert error <= (compacted / k if merged else (compacted + 1) / (2 * k))
        stored += k * (3 + np.log2(side / k))
    assert sketch.num_stored < stored


@pytest.mark.parametrize("batch", [7, 500, 20_000])
@pytest.mark.parametrize("capacity", [2, 64, 256])
@pytest.mark.parametrize("stream", STREAMS)
def test_the_tracked_bound_holds_at_every_threshold_and_is_within_the_one_stated_beforehand(stream, capacity, batch):
    scores, is_member = STREAMS[stream](20_000)
    sketch = sketched(scores, is_member, capacity, batch)
    assert_within_its_bounds(sketch, scores, is_member, merged=False)
    if stream != "all equal":
        assert max(sketch.tpr_error, sketch.fpr_error) > 0


def as_tree(sketches):
    while len(sketches) > 1:
        sketches = [a.merge(b) for a, b in zip(sketches[::2], sketches[1::2], strict=True)]
    return sketches[0]


@pytest.mark.parametrize("parts", [16, 256])
@pytest.mark.parametrize("grouping", [as_tree, lambda all_of_them: reduce(RocSketch.merge, all_of_them)])
@pytest.mark.parametrize("stream", STREAMS)
def test_merged_in_any_grouping_a_sketch_keeps_its_promises(stream, grouping, parts):
    scores, is_member = STREAMS[stream](20_000)
    pieces = zip(np.array_split(scores, parts), np.array_split(is_member, parts), strict=True)
    merged = grouping([sketched(*piece, capacity=32, batch=100) for piece in pieces])
    assert_within_its_bounds(merged, scores, is_member, merged=True)


def test_a_merge_changes_neither_sketch():
    a, b = (sketched(*world(5_000, seed), capacity=64, batch=300) for seed in (1, 2))
    before = [(s.roc(), s.tpr_error, s.fpr_error) for s in (a, b)]
    a.merge(b).add(*world(5_000))
    for sketch, (curve, tpr_error, fpr_error) in zip((a, b), before, strict=True):
        assert (sketch.tpr_error, sketch.fpr_error) == (tpr_error, fpr_error)
        for name in ("thresholds", "true_positives", "false_positives"):
            np.testing.assert_array_equal(getattr(sketch.roc(), name), getattr(curve, name))


@pytest.mark.parametrize("decimals", [None, 1])
def test_while_nothing_is_compacted_all_is_exact(decimals):
    scores, is_member = world(3_000, decimals=decimals)
    sketch, exact = sketched(scores, is_member, 2_048, 111), RocCurve.from_scores(scores, is_member)
    assert sketch.tpr_error == sketch.fpr_error == 0
    for name in ("thresholds", "true_positives", "false_positives"):
        np.testing.assert_array_equal(getattr(sketch.roc(), name), getattr(exact, name))
    for found, expected in ((sketch.auc(), auc(exact)), (sketch.tpr_at_fpr(0.01), tpr_at_fpr(exact, 0.01))):
        assert found.to_dict() == expected.to_dict() | {"sketch_error": 0.0}


def test_only_the_order_of_the_scores_matters():
    scores, is_member = world(10_000)
    plain, squashed = (sketched(s, is_member, 64, 300).roc() for s in (scores, np.tanh(scores / 4)))
    np.testing.assert_array_equal(plain.true_positives, squashed.true_positives)
    np.testing.assert_array_equal(np.tanh(plain.thresholds[1:] / 4), squashed.thresholds[1:])


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("stream", STREAMS)
def test_above_the_kth_largest_score_of_a_side_nothing_errs(stream, merged):
    scores, is_member = STREAMS[stream](20_000)
    sketch = sketched(scores, is_member, 128, 500)
    if merged:
        pieces = zip(np.array_split(scores, 8), np.array_split(is_member, 8), strict=True)
        sketch = as_tree([sketched(*piece, capacity=128, batch=500) for piece in pieces])
    thresholds = np.unique(scores)[::-1]
    for side, error in zip((is_member, ~is_member), errors(sketch, scores, is_member), strict=True):
        assert not error[thresholds > np.sort(scores[side])[-128]].any()


ROUNDING = 1e-12


def assert_values_and_intervals_hold(sketch, exact, level=0.95):
    pairs = [(sketch.auc(level), auc(exact, level))]
    assert pairs[0][0].details["sketch_error"] <= sketch.tpr_error + sketch.fpr_error + ROUNDING
    rates = [fpr for fpr in (0.5, 0.3, 0.1, 0.01) if fpr * exact.num_nonmembers >= 10]
    pairs += [(sketch.tpr_at_fpr(fpr, level), tpr_at_fpr(exact, fpr, level)) for fpr in rates]
    for found, expected in pairs:
        assert abs(found - expected) <= found.details["sketch_error"] + ROUNDING
        assert found.low <= expected.low + ROUNDING
        assert found.high >= expected.high - ROUNDING
        assert 0 <= found.low <= found <= found.high <= 1


@pytest.mark.parametrize("capacity", [2, 8, 128])
@pytest.mark.parametrize("stream", STREAMS)
def test_intervals_hold_those_of_the_exact_curve_for_every_stream(stream, capacity):
    scores, is_member = STREAMS[stream](3_000)
    sketch = sketched(scores, is_member, capacity, 50)
    assert_values_and_intervals_hold(sketch, RocCurve.from_scores(scores, is_member))


def test_a_few_records_and_a_coarse_sketch_hold_too():
    rng = np.random.default_rng(0)
    for _ in range(400):
        count, members = rng.integers(60, 130), rng.integers(2, 40)
        is_member = rng.permutation(np.arange(count) < members)
        scores = rng.normal(size=count) + rng.choice([0.0, 2.0]) * is_member
        sketch, exact = sketched(scores, is_member, 2, 3), RocCurve.from_scores(scores, is_member)
        assert_values_and_intervals_hold(sketch, exact)
        _, *parts = area_and_variance(sketch.roc())
        _, *true_parts = area_and_variance(exact)
        errors = sketch.fpr_error, sketch.tpr_error
        assert true_parts[0] <= largest_part(parts[0], members, *errors) + ROUNDING
        assert true_parts[1] <= largest_part(parts[1], count - members, *errors[::-1]) + ROUNDING


def test_placements_that_the_sketch_confuses_are_allowed_for():
    """The members are exact; all that the sketch loses is the non-member between them."""
    sketch = RocSketch(2)
    sketch.add([1.0, -1.0, 0.0, 5.0, 6.0, 7.0], [1, 1, 0, 0, 0, 0])
    true_part = 0.125**2  # placements 1/4 and 0, variance 2·(1/8)² for two members
    assert area_and_variance(sketch.roc())[1] == 0
    assert largest_part(0.0, 2, sketch.fpr_error, sketch.tpr_error) >= true_part
    assert largest_part(0.0, 2, 0.0, sketch.tpr_error) < true_part


def test_a_member_that_the_sketch_lost_is_allowed_for():
    scores, is_member = np.array([5.0, 6.0, 7.0, -9.0, 0.0, 1.0, 2.0]), np.arange(7) < 4
    sketch = RocSketch(2)
    sketch.add(scores, is_member)
    assert sketch.auc() == 1.0
    assert_values_and_intervals_hold(sketch, RocCurve.from_scores(scores, is_member))


def test_a_member_lost_just_above_the_right_threshold_is_allowed_for():
    """The highest non-member scores are 12 times 200, then 62.2; of the members above it the sketch has lost the 63."""
    sketch, first, second = RocSketch(32), np.arange(64.0), np.arange(100.0, 132.0)
    sketch.add(first, np.ones(64))
    sketch.add(second, np.ones(32))
    nonmembers = np.append(np.full(12, 200.0), np.full(28, 62.2))
    sketch.add(nonmembers, np.zeros(40))
    assert 63 not in sketch.roc().thresholds
    assert sketch.tpr_at_fpr(0.3) == 32 / 96
    exact = RocCurve.from_scores(np.concatenate([first, second, nonmembers]), np.arange(136) < 96)
    assert tpr_at_fpr(exact, 0.3) == 33 / 96
    assert_values_and_intervals_hold(sketch, exact)


def test_ties_that_say_nothing_widen_a_sketch_too():
    rng = np.random.default_rng(0)
    members = np.where(rng.random(5_000) < 0.03, rng.normal(size=5_000), 0.0)
    scores, is_member = np.append(members, np.zeros(10)), np.arange(5_010) < 5_000
    sketch = sketched(scores, is_member, 64, 100)
    assert sketch.tpr_error > 0
    assert_values_and_intervals_hold(sketch, RocCurve.from_scores(scores, is_member))


def test_errors_of_the_two_sides_in_one_direction_do_not_add_up():
    """One compaction a side, both too large: the one raises the AUC, the other lowers it."""
    sketch = RocSketch(4)
    sketch.add(np.arange(18.0), np.arange(18) < 8)
    assert (sketch.tpr_error, sketch.fpr_error) == (1 / 8, 1 / 10)
    assert sketch.auc().details["sketch_error"] == 1 / 8


@given(
    seed=st.integers(0, 10**6),
    sizes=st.tuples(st.integers(1, 3_000), st.integers(1, 3_000)),
    gain=st.sampled_from([-6.0, -1.0, 0.0, 0.3, 3.0, 5.0, 9.0]),
    decimals=st.sampled_from([None, 1, 0]),
    capacity=st.sampled_from([8, 32, 256]),
    level=st.sampled_from([0.5, 0.95]),
)
@settings(max_examples=150)
def test_values_err_by_no_more_than_they_say_and_intervals_hold_those_of_the_exact_curve(
    seed, sizes, gain, decimals, capacity, level
):
    rng = np.random.default_rng(seed)
    is_member = rng.permutation(np.arange(sum(sizes)) < sizes[0])
    scores = rng.normal(size=sum(sizes)) + gain * is_member
    scores = scores if decimals is None else np.round(scores, decimals)
    sketch, exact = sketched(scores, is_member, capacity, 200), RocCurve.from_scores(scores, is_member)
    assert_values_and_intervals_hold(sketch, exact, level)


@pytest.mark.parametrize("gain", [0.0, 1.0, 4.0, 6.0])
def test_widening_costs_little_beside_the_interval_itself(gain):
    scores, is_member = world(400_000, gain=gain)
    found, exact = sketched(scores, is_member, 2**13, 10_000).auc(), auc(RocCurve.from_scores(scores, is_member))
    assert found.high - found.low <= exact.high - exact.low + 4 * found.details["sketch_error"]


def test_at_rates_read_from_the_highest_scores_only_the_members_err():
    scores, is_member = world(100_000, gain=1.0)
    sketch = sketched(scores, is_member, 1_024, 1_000)
    found = sketch.tpr_at_fpr(0.01)  # 600 of 60,000 non-members
    assert found.details["sketch_error"] <= sketch.tpr_error
    assert (
        found.details["false_positives"]
        == tpr_at_fpr(RocCurve.from_scores(scores, is_member), 0.01).details["false_positives"]
    )


def test_equal_scores_stay_exact_and_pairs_are_counted_as_far_as_they_can_be():
    sketch = RocSketch(2)
    sketch.add([1.0, 0.0], [True, False])
    for _ in range(30):
        sketch = sketch.merge(sketch)
    assert (sketch.num_members, sketch.tpr_error, sketch.auc()) == (2**30, 0.0, 1.0)
    with pytest.raises(ValueError, match="too many pairs to count"):
        sketch.merge(sketch).auc()


def test_empty_and_one_sided_batches_are_ordinary():
    scores, is_member = world(4_000)
    whole, sides = RocSketch(64), RocSketch(64)
    whole.add(scores, is_member)
    sides.add([], [])
    sides.add(scores[is_member], np.ones(is_member.sum(), int))
    sides.add(scores[~is_member], np.zeros((~is_member).sum(), int))
    np.testing.assert_array_equal(whole.roc().true_positives, sides.roc().true_positives)
    np.testing.assert_array_equal(whole.roc().false_positives, sides.roc().false_positives)


def test_memory_does_not_grow_with_the_stream():
    rng, sketch = np.random.default_rng(0), RocSketch(1_024)
    is_member = np.arange(10_000) % 2 == 0
    tracemalloc.start()
    try:
        for _ in range(200):
            sketch.add(rng.normal(size=10_000), is_member)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    batch, held = 10_000 * 8, 2 * 1_024 * (3 + np.log2(10**6 / 1_024)) * 8
    assert peak <= 6 * batch + 2 * held  # all two million scores would be 16 MB: sixteen times as much


def test_saved_and_loaded_a_sketch_goes_on_as_if_nothing_had_happened(tmp_path):
    sketch = sketched(*world(20_000), capacity=64, batch=300)
    sketch.save(tmp_path / "scores.sketch")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.sketch"]
    loaded = RocSketch.load(tmp_path / "scores.sketch")
    for one in (sketch, loaded):
        one.add(*world(5_000, seed=1))
    assert repr(loaded) == repr(sketch)
    assert loaded.tpr_at_fpr(0.01).to_dict() == sketch.tpr_at_fpr(0.01).to_dict()
    assert loaded.auc().to_dict() == sketch.auc().to_dict()


def test_an_empty_sketch_can_be_saved(tmp_path):
    RocSketch(8).save(tmp_path / "empty")
    assert (RocSketch.load(tmp_path / "empty").capacity, RocSketch.load(tmp_path / "empty").num_stored) == (8, 0)


def rewritten(path, **changes):
    with np.load(path) as arrays:
        held = dict(arrays) | changes
    with path.open("wb") as file:
        np.savez(file, **held)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-300]), "damaged"),
        (lambda path: path.write_text("something else"), "no file that RocSketch.save wrote"),
        (lambda path: path.write_bytes(b""), "damaged"),
        (lambda path: rewritten(path, header=np.array([99, 64])), "schema version is 99, this package reads 1"),
        (lambda path: rewritten(path, members_scores=np.zeros(3)), "were announced, 2 found"),
        (lambda path: rewritten(path, members_counts=np.array([9, 0, 0, 1]), members_scores=np.zeros(2)), "not for 9"),
    ],
)
def test_a_file_that_is_no_whole_sketch_is_refused(tmp_path, damage, message):
    path = tmp_path / "scores.sketch"
    sketched(*world(2_000), capacity=64, batch=300).save(path)
    damage(path)
    with pytest.raises(ValueError, match=message):
        RocSketch.load(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        RocSketch.load(tmp_path / "nothing")


@pytest.mark.parametrize("capacity", [0, -2, 3, 2.0, True, "2", None])
def test_a_capacity_must_be_an_even_number(capacity):
    with pytest.raises(ValueError, match=r"capacity is .* give an even whole number"):
        RocSketch(capacity)


def test_what_cannot_be_sketched_is_refused_and_leaves_the_sketch_as_it_was():
    sketch = sketched(*world(1_000), capacity=64, batch=300)
    before = repr(sketch)
    with pytest.raises(ValueError, match="NaN for 1 of 2 records"):
        sketch.add([1.0, np.nan], [1, 0])
    with pytest.raises(ValueError, match="one score and one 0/1 flag a record"):
        sketch.add([1.0, 2.0], [1])
    with pytest.raises(ValueError, match="values other than 0 and 1"):
        sketch.add([1.0], [2])
    with pytest.raises(ValueError, match="capacity 32 cannot be merged into one of capacity 64"):
        sketch.merge(RocSketch(32))
    with pytest.raises(TypeError, match="a RocCurve was given"):
        sketch.merge(sketch.roc())
    with pytest.raises(ValueError, match="needs 10,000 non-members"):
        sketch.tpr_at_fpr(0.001)
    assert repr(sketch) == before
    one_side = RocSketch()
    one_side.add([1.0], [1])
    for read in (one_side.roc, one_side.auc, lambda: one_side.tpr_at_fpr(0.1)):
        with pytest.raises(ValueError, match="1 members and 0 non-members"):
            read()
