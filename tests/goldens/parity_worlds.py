"""The inputs of benchmarks/parity.py, by seed, and what they are judged by: oracles and restated programs in plain loops.

Restated are programs that no registry has, from what they compute: the scorer of LiRA's authors, RMIA as in Privacy Meter's
repository, a copied modified entropy. Nothing here imports this package.
"""

import bisect
import math

import numpy as np
from scipy import special, stats

DRAWS, MODELS, POPULATION = 60, 9, 250
FAR = np.array([4.0, 9.0, 40.0])
ALPHA, THRESHOLD, NARROW = 0.05, 1.0, 0.3
GUESSES = ((70, 100, 100, 1e-9), (190, 200, 1_000, 1e-5), (450, 600, 2_000, 1e-3))  # right, made, canaries, δ


def stream(number):
    """RandomState: its numbers never change with NumPy's version, so that goldens stay comparable."""
    return np.random.RandomState(number)


def answers(gain=1.5, dtype=np.float64):
    """logits[300, 4], labels[300], is_member[300]; members, the first 160, are answered better."""
    draw, is_member = stream(1), np.arange(300) < 160
    labels, logits = draw.randint(0, 4, 300), draw.normal(0, 1.5, (300, 4))
    logits[np.arange(300), labels] += np.where(is_member, 2 * gain, gain)
    return logits.astype(dtype), labels, is_member


def scores(digits=1, gain=0.7):
    """scores[180], is_member[180]: 100 members, 80 others; many ties, or none with more digits."""
    is_member = np.arange(180) < 100
    return np.round(stream(2).normal(size=180) + gain * is_member, digits), is_member


def noise():
    """DRAWS times scores of 100 members and of 100 others, of one distribution."""
    return [stream(number).normal(size=(2, 100)) for number in range(DRAWS)]


def shadows(models, records=200, in_spread=1.0, gain=1.0):
    """target[n], is_member[n], shadow[m, n], trained_on[m, n]: hardness N(0, 2²), membership adds `gain`, noise N(0, 1)."""
    draw, is_member = stream(3), np.arange(records) < records // 2
    halves = draw.uniform(size=(models // 2, records)) < 0.5
    own = np.concatenate([is_member[None], np.stack([halves, ~halves], axis=1).reshape(models, records)])
    values = 2 * draw.normal(size=records) + gain * own + np.where(own, in_spread, 1) * draw.normal(size=own.shape)
    return values[0], is_member, values[1:], own[1:]


def probabilities(models=8, gain=1.0):
    """is_member, and what RMIA takes, log-probabilities of a confident classifier; the population is of 1,000 records."""
    target, is_member, shadow, trained_on = shadows(models, 2_000, gain=gain)
    draw = stream(4)
    others = 2 * draw.normal(size=1_000) + draw.normal(size=(models + 1, 1_000))
    target, shadow, population, of_population = (
        special.log_expit(x + 3) for x in (target, shadow, others[0], others[1:])
    )
    return is_member, (target, shadow, trained_on, population, of_population)


def losses_of_references(models=MODELS, records=2_000):
    """Losses that never saw a record, so that the target is one of them: target[n], shadow[m, n]."""
    drawn = stream(5).normal(size=records) + stream(6).normal(size=(models + 1, records))
    return drawn[0], drawn[1:]


def pairs(values, is_member):
    """AUC by its definition: of all pairs the share in which the member scores higher, ties count one half."""
    others = sorted(values[~is_member])
    twice_won = sum(
        bisect.bisect_left(others, value) + bisect.bisect_right(others, value) for value in values[is_member]
    )
    return twice_won / (2 * len(others) * int(is_member.sum()))


def best_tpr(values, is_member, fpr, strict=False):
    """The largest TPR of any threshold whose FPR is at most (if strict, below) the rate."""
    rates = [[np.mean(values[side] >= t) for side in (is_member, ~is_member)] for t in [*set(values), np.inf]]
    return max(tpr for tpr, alarms in rates if (alarms < fpr if strict else alarms <= fpr))


def modified_entropies(logits, labels, as_copied=False):
    """Song & Mittal's, minus sign; `as_copied` swaps whole columns, every one that is somebody's label."""
    found = []
    for row, label in zip(np.exp(logits - special.logsumexp(logits, axis=1, keepdims=True)), labels, strict=True):
        swapped = set(labels) if as_copied else {label}
        terms = [((1 - p) * math.log(p) if j in swapped else p * math.log1p(-p)) for j, p in enumerate(row)]
        found.append(math.fsum(terms))
    return np.array(found)


def lira_script(target, shadow, trained_on, mode, fixed=False):
    """Medians; spreads with divisor m, or one of all values of IN, hardness and all, for both; offline: minus OUT's density."""
    inside, outside = (
        [column[own == side] for column, own in zip(shadow.T, trained_on.T, strict=True)] for side in (1, 0)
    )
    common = np.std(np.concatenate(inside if mode == "online" else outside))

    def density(side):
        spreads = [common if fixed else np.std(values) for values in side]
        return stats.norm.logpdf(target, [np.median(values) for values in side], spreads)

    return density(inside) - density(outside) if mode == "online" else -density(outside)


def offline_auc(models, sides=1):
    """AUC of `shadows` by the distance from the mean of OUT, half of the models: above it, or on both sides of it."""
    above = special.ndtr(1 / math.sqrt(2 * (1 + 2 / models)))  # that mean has an error of its own
    # |X| > |Y| iff X − Y and X + Y, which are independent, have one sign.
    return above if sides == 1 else above**2 + (1 - above) ** 2


def lira_loops(target, shadow, trained_on):
    """The paper's formula, record by record: means, and spreads with divisor m − 1."""
    found = []
    for value, answers_of, own in zip(target, shadow.T, trained_on.T, strict=True):
        inside, outside = (stats.norm(answers_of[s].mean(), answers_of[s].std(ddof=1)) for s in (own, ~own))
        found.append(inside.logpdf(value) - outside.logpdf(value))
    return found


def lira_ideal(target, shadow, trained_on):
    """The likelihood ratio of `shadows` where hardness is known from all models (many of them)."""
    hardness = np.mean(shadow - trained_on, axis=0)
    return stats.norm.logpdf(target, hardness + 1, NARROW) - stats.norm.logpdf(target, hardness, 1)


def rmia_loops(target, shadow, trained_on, population, population_shadow, mode="offline", a=0.3, largest=None):
    """Pr_z[r(x) > r(z)]; `largest` = only so many of the largest probabilities count, IN ones as 0 (the repository)."""

    def ratio(own, others, was_in):
        outside = [0.0 if known else math.exp(p) for p, known in zip(others, was_in, strict=True)]
        if largest is not None:
            mean = math.fsum(sorted(outside)[-largest:]) / largest
        else:
            mean = math.fsum(outside) / sum(not known for known in was_in)
        if mode == "online" and any(was_in):
            inside = [math.exp(p) for p, known in zip(others, was_in, strict=True) if known]
            return math.exp(own) / ((mean + math.fsum(inside) / len(inside)) / 2)
        return math.exp(own) / ((1 + a) / 2 * mean + (1 - a) / 2)

    never = [False] * len(shadow)
    r_z = np.array([ratio(own, others, never) for own, others in zip(population, population_shadow.T, strict=True)])
    r_x = [ratio(*record) for record in zip(target, shadow.T, trained_on.T, strict=True)]
    return np.array([np.mean(r > r_z) for r in r_x])


def canaries():
    """scores[3] of canaries and scores[2000] of references, N(0, 1)."""
    return np.array([1.0, 3.0, 2.0]), stream(7).normal(size=2_000)


def population():
    """The same signal as `shadows`, of records that no model trained on: float[POPULATION]."""
    draw = stream(8)
    return 2 * draw.normal(size=POPULATION) + draw.normal(size=POPULATION)


def distinct_losses(logits, labels):
    """How many records differ in Σ_{j≠y} exp(z_j − z_y), which orders them as the loss does; from exact differences."""
    rows = zip(logits.astype(float), labels, strict=True)
    return len({math.fsum(np.exp(np.delete(row, label) - row[label])) for row, label in rows})


def sides(values, is_member):
    """Members' values, the others' values."""
    return values[is_member], values[~is_member]


def joined(members, nonmembers):
    """All values, members first, and is_member."""
    return np.concatenate([members, nonmembers]), np.arange(len(members) + len(nonmembers)) < len(members)


def named(logits, labels, is_member):
    """As TensorFlow Privacy's AttackInputData takes them."""
    both = {"logits": sides(logits, is_member), "labels": sides(labels, is_member)}
    return {f"{name}_{side}": rows[part] for name, rows in both.items() for part, side in enumerate(("train", "test"))}


def exposures(canaries, references):
    """log2 of how many candidates there are, the canary among them, minus that of its rank."""
    ranks = [1 + sum(reference >= canary for reference in references) for canary in canaries]
    return [math.log2(len(references) + 1) - math.log2(rank) for rank in ranks]


def skew_normal_bits(scores):
    """Exposure if references are N(0, 1), as they are here: −log2 P[a reference scores higher]."""
    return -special.log_ndtr(-scores) / math.log(2)


def restated():
    """{row: figure} of the restated programs."""
    target, is_member, *known = shadows(8, 1_000)
    narrow, of_narrow, *of_others = shadows(64, 1_000, NARROW)
    many, of_many, *of_many_others = shadows(32, 6_000)
    truth, given = probabilities()
    return {
        "LiRA online, its formula": lira_loops(*(array[..., :20] for array in (target, *known))),
        "RMIA offline, its formula": [rmia_loops(*given, a=a)[:10] for a in (0, 0.3, 1)],
        "RMIA online, its formula": [rmia_loops(*given, mode="online", a=a)[:10] for a in (0, 0.3, 1)],
        "RMIA of non-members": rmia_loops(*given, largest=4)[~truth].mean(),
        "LiRA online, 8 models: AUC": pairs(lira_script(target, *known, "online"), is_member),
        "LiRA online, narrow IN: AUC": pairs(lira_script(narrow, *of_others, "online", True), of_narrow),
        "LiRA offline: AUC": pairs(lira_script(many, *of_many_others, "offline", True), of_many),
        "TPR at FPR .2": best_tpr(*scores(9), 0.2, strict=True),
        "modified entropies": modified_entropies(*answers()[:2], as_copied=True)[:20],
    }
