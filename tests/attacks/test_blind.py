"""Silent where both sides are of one distribution, loud where they are not, and the same whatever the records' order."""

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from privacy_callbacks.attacks.blind import MAX_A_SIDE, blind_baseline


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Hundreds of small matrices: threads would wait for each other longer than they compute."""
    with threadpool_limits(1):
        yield


def classed(rng, count):
    y = rng.integers(0, 3, count)
    return (rng.normal(size=(count, 6)) + y[:, None] * 0.5).astype(np.float32), y


def sides(members, nonmembers):
    return np.arange(members + nonmembers) < members


# Worlds: (inputs, labels, is_member). Equal ones draw both sides alike.


def small(rng):
    x, y = classed(rng, 210)
    return [x], [y], sides(120, 90)


def one_hot(rng):
    x, y = classed(rng, 400)
    return [x], [np.eye(3)[y]], sides(200, 200)


def images(rng):
    return [rng.normal(size=(400, 28, 28)).astype(np.float32)], [rng.integers(0, 10, 400)], sides(200, 200)


def binary(rng):
    share = rng.beta(1, 3, 600)
    return [(rng.random((400, 600)) < share).astype(np.float32)], [rng.integers(0, 100, 400)], sides(200, 200)


PHRASES = np.array(["the cat", "a dog", "one fish", "red car", "blue sky", "old man", "tall tree", "big house"])


def texts(rng):
    words = [" ".join(rng.choice(PHRASES, rng.integers(3, 12))) for _ in range(300)]
    return [np.array(words, object)], [rng.integers(0, 2, 300)], sides(150, 150)


def regression(rng):
    x = rng.normal(size=(240, 8))
    return [x], [x[:, :1] + rng.standard_t(2, size=(240, 1))], sides(140, 100)


def sixteen_values(rng):
    return [rng.integers(0, 2, (300, 3)).astype(np.float32)], [rng.integers(0, 2, 300)], sides(180, 120)


def zipf(rng):
    value = np.minimum(rng.zipf(1.5, 600), 500)
    return [np.stack([value % 7, value % 11, value], 1).astype(np.float32)], [value % 2], sides(400, 200)


def each_member_twice(rng):
    x, y = classed(rng, 300)
    rows = np.r_[0:100, 0:100, 100:300]
    return [x[rows]], [y[rows]], sides(200, 200)


def some_members_often(rng):
    x, y = classed(rng, 290)
    rows = np.r_[np.repeat(np.arange(10), 10), 10:290]
    return [x[rows]], [y[rows]], sides(190, 190)


def heavy_tails(rng):
    x = rng.standard_cauchy((400, 6)) * [1e30, 1e-30, 1, 1e5, 1, 1]
    return [x], [rng.integers(0, 2, 400)], sides(200, 200)


EQUAL = [small, one_hot, images, binary, texts, regression, sixteen_values, zipf, each_member_twice, some_members_often]
EQUAL += [heavy_tails]


def mean(rng):
    """One column of six shifted by .7: the best AUC is Φ(.7/√2) = .69."""
    x, y = classed(rng, 600)
    x[:300, 2] += 0.7
    return [x], [y], sides(300, 300)


def scale(rng):
    x = rng.normal(size=(400, 6))
    x[:200] *= 1.25
    return [x], [rng.integers(0, 3, 400)], sides(200, 200)


def scale_of_one_column(rng):
    x = rng.normal(size=(500, 6))
    x[:250, 2] *= 1.8
    return [x], [rng.integers(0, 3, 500)], sides(250, 250)


def classes(rng):
    """Shares .5, .3, .2 against .2, .3, .5: the best AUC is .5 + (.25 − .04)/2 + .3·(.5 − .2)/1 = .695."""
    y = np.concatenate([rng.choice(3, 250, p=p) for p in ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5))])
    return [rng.normal(size=(500, 6))], [y], sides(250, 250)


def correlation(rng):
    x = rng.normal(size=(600, 6))
    x[:300, 1] = 0.75 * x[:300, 0] + np.sqrt(1 - 0.75**2) * x[:300, 1]
    return [x], [rng.integers(0, 3, 600)], sides(300, 300)


def two_pixels(rng):
    """Two of 784 shifted by .45: the best AUC is Φ(.45) = .67."""
    x = rng.normal(size=(1_600, 28, 28)).astype(np.float32)
    x[:800, 0, :2] += 0.45
    return [x], [rng.integers(0, 10, 1_600)], sides(800, 800)


def sources_of_text(rng):
    share = np.repeat([2.0, 1.0], 4) ** 0.45
    share /= share.sum()
    words = [" ".join(rng.choice(PHRASES, 12, p=p)) for p in [share] * 200 + [share[::-1]] * 200]
    return [np.array(words, object)], [rng.integers(0, 2, 400)], sides(200, 200)


def wrong_labels(rng):
    """Neither inputs nor labels differ, only what they have to do with each other."""
    x = rng.normal(size=(400, 6))
    y = (x[:, 0] > 0).astype(int)
    y[:200] ^= rng.random(200) < 0.4
    return [x], [y], sides(200, 200)


DIFFERENT = [mean, scale, scale_of_one_column, classes, correlation, two_pixels, sources_of_text, wrong_labels]


def share_of_alarms(world, seeds):
    return np.mean(
        [blind_baseline(*world(np.random.default_rng([seed, 4])), seed=seed).auc.low > 0.5 for seed in seeds]
    )


@pytest.mark.parametrize("world", [small, sixteen_values, each_member_twice, some_members_often])
def test_equal_sides_seldom_alarm(world):
    """One-sided error 2.5 % in each of 10: more than 2 alarms have probability .002."""
    assert share_of_alarms(world, range(10)) * 10 <= 2


@pytest.mark.slow
@pytest.mark.parametrize("world", EQUAL)
def test_equal_sides_alarm_at_most_as_stated(world):
    """Draws at 3 %: no more than the binomial's 99.9 % quantile (15 of 200)."""
    seeds = range(1_000, 1_100 if world in (images, binary) else 1_200)
    assert share_of_alarms(world, seeds) * len(seeds) <= stats.binom.ppf(0.999, len(seeds), 0.03)


@pytest.mark.parametrize("world", [world for world in DIFFERENT if world is not two_pixels])
def test_different_sides_alarm(world):
    """Stated power 95 %: no alarm in 2 has probability .0025."""
    assert share_of_alarms(world, range(2)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("world", DIFFERENT)
def test_different_sides_alarm_as_often_as_stated(world):
    assert share_of_alarms(world, range(1_000, 1_100 if world is not two_pixels else 1_030)) >= 0.95


def test_neither_order_nor_the_global_random_state_matters():
    (x,), (y,), is_member = mean(np.random.default_rng(0))
    x = np.concatenate([x, x[:40]])  # copies, too
    y, is_member = np.concatenate([y, y[:40]]), np.concatenate([is_member, is_member[:40]])
    order = np.random.default_rng(1).permutation(len(x))
    before = np.random.get_state()[1].copy()
    assert blind_baseline([x], [y], is_member, seed=3) == blind_baseline(
        [x[order]], [y[order]], is_member[order], seed=3
    )
    assert blind_baseline([x], [y], is_member, seed=3).auc != blind_baseline([x], [y], is_member, seed=4).auc
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_it_names_what_differs():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 80)), rng.integers(0, 3, 400)
    is_member = sides(200, 200)
    brighter = blind_baseline([x + 0.3 * is_member[:, None]], [y], is_member)
    assert brighter.most_telling.startswith("mean of the inputs (AUC ")
    assert brighter.most_telling.endswith("higher in members)")
    other_classes = blind_baseline([x], [np.where(is_member, y, 1)], is_member)
    assert other_classes.most_telling.startswith("class 1 (AUC 0.8")
    assert other_classes.most_telling.endswith("higher in non-members)")
    assert (
        blind_baseline([x[:, :6] + 2 * is_member[:, None] * (np.arange(6) == 4)], [y], is_member).most_telling[:8]
        == "column 4"
    )


def test_separate_sides_reach_one():
    x = np.random.default_rng(0).normal(size=(100, 4)) + 50 * sides(50, 50)[:, None]
    got = blind_baseline([x], [np.zeros(100)], sides(50, 50)).auc
    assert got == got.high == 1
    assert got.low == pytest.approx(0.025 ** (1 / 25))  # the interval of a perfect result on 25 + 25


def test_few_values_that_differ_are_no_copies():
    """Members are one value, non-members another: dropping equal records would leave one of each."""
    x = np.where(sides(100, 100), 1.0, 2.0)
    assert blind_baseline([x], [np.zeros(200)], sides(100, 100)).auc == 1


def test_repeated_members_count_once():
    inputs, labels, is_member = each_member_twice(np.random.default_rng(0))
    got = blind_baseline(inputs, labels, is_member)
    assert (got.num_members, got.num_nonmembers) == (100, 200)


def test_records_are_capped_a_side():
    rng = np.random.default_rng(0)
    got = blind_baseline(
        [rng.normal(size=(MAX_A_SIDE + 530, 2))], [np.zeros(MAX_A_SIDE + 530)], sides(MAX_A_SIDE + 500, 30)
    )
    assert (got.num_members, got.num_nonmembers) == (MAX_A_SIDE, 30)


def test_records_that_are_all_the_same_are_guesses():
    got = blind_baseline([np.ones((60, 3))], [np.zeros(60)], sides(30, 30)).auc
    assert got == 0.5
    assert got.low < 0.5 < got.high


def test_too_few_records_and_unequal_lengths_are_refused():
    x, y = np.zeros((60, 2)), np.zeros(60)
    with pytest.raises(ValueError, match=r"19 members and 41 non-members are too few .* at least 20"):
        blind_baseline([x], [y], sides(19, 41))
    with pytest.raises(ValueError, match=r"have \[59, 60\] records"):
        blind_baseline([x], [y[1:]], sides(30, 30))
    with pytest.raises(ValueError, match="level"):
        blind_baseline([x], [y], sides(30, 30), level=1.0)
