import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks import AuditSet, AuditWarning, LeakageReport, MIACallback, audit
from privacy_callbacks.attacks import Threshold

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")


def test_an_audit_after_the_fact_is_the_callbacks_last(make_model, blobs):
    model, mia = make_model(), MIACallback(*blobs)
    model.fit(*blobs[0], epochs=2, verbose=0, callbacks=[mia])
    after = audit(model, *blobs)
    assert [report.attack for report in after] == [report.attack for report in mia.reports[-7:]]
    for ours, theirs in zip(after, mia.reports[-7:], strict=True):
        assert ours.scalars() == theirs.scalars()
        assert ours.step is None


def test_it_takes_an_audit_set_and_chosen_attacks(make_model, blobs):
    reports = audit(make_model(), AuditSet(*blobs, size=20), attacks=Threshold("entropy"))
    assert [(report.attack, report.num_members) for report in reports] == [("entropy", 20)]


def first_output(y, outputs):
    """A loss that nobody would train on, to see that it is the one the audit uses."""
    return outputs[:, 0]


def test_its_arguments_reach_the_audit(make_model, blobs):
    class Population:
        name, signals, needs_population = "population", ("loss",), True

        def fit(self, context):
            self.seen = context.population["loss"]
            return self

        def score(self, signals):
            return signals["loss"][:, 0]

    attack, (x, y) = Population(), blobs[1]
    reports = audit(
        make_model(), *blobs, attack, 33, seed=7, population=(x[:5], y[:5]), loss=first_output, batch_size=9
    )
    drawn = AuditSet(*blobs, size=33, seed=7)
    assert reports[0].num_members == 33
    assert attack.seen.shape == (5, 1)
    p = make_model().predict(drawn.x, verbose=0)
    expected = LeakageReport.from_scores(-p[:, 0], drawn.is_member)
    assert float(reports[0].auc) == pytest.approx(float(expected.auc), abs=1e-6)


def test_warnings_are_given_once(make_model, blobs):
    with pytest.warns(AuditWarning) as caught:
        audit(make_model(), *blobs)
    assert len(caught) == 1


def test_it_changes_nothing(make_model, blobs):
    model = make_model()
    before = [v.numpy().copy() for v in model.variables]
    state = tf.random.get_global_generator().state.numpy()
    audit(model, *blobs)
    for ours, theirs in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(tf.random.get_global_generator().state.numpy(), state)


def test_a_model_without_a_loss_is_refused_or_given_one(blobs):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
    with pytest.raises(ValueError, match="not compiled with a loss; compile it, or give the audit one with loss="):
        audit(model, *blobs)
    assert len(audit(model, *blobs, loss="sparse_categorical_crossentropy")) == 7


def test_failures_are_raised(make_model, blobs):
    class Failing:
        name, signals, needs_population = "failing", ("loss",), False

        def fit(self, context):
            raise ZeroDivisionError("by nought")

    with pytest.raises(ZeroDivisionError, match="by nought"):
        audit(make_model(), *blobs, attacks=Failing())


@pytest.mark.filterwarnings("ignore:the mix of classes differs:UserWarning")  # in 1 of 200
@pytest.mark.slow
def test_a_model_trained_on_neither_side_gives_intervals_that_cover_one_half(make_model):
    """Nominal 95 %: of 200 audits of models that saw other records, at most 8.6 % (3.5 standard errors) may miss."""
    rng = np.random.default_rng(0)

    def records(count):
        y = rng.integers(0, 3, count)
        return (rng.normal(size=(count, 6)) + y[:, None]).astype("float32"), y

    model = make_model()
    model.fit(*records(300), epochs=30, verbose=0)
    misses = []
    for seed in range(200):
        (report,) = audit(model, records(150), records(150), attacks=Threshold("loss"), seed=seed, blind_baseline=False)
        misses.append(not report.auc.low <= 0.5 <= report.auc.high)
    assert np.mean(misses) <= 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.slow
def test_the_null_check_fires_in_about_one_experiment_of_a_hundred_at_most():
    from privacy_callbacks.attacks import LeakageReport
    from privacy_callbacks.null_check import null_check

    rng = np.random.default_rng(1)
    fired = 0
    for _ in range(1_000):
        shared, is_member = rng.normal(size=200), np.arange(200) < 100
        reports = [
            LeakageReport.from_scores(shared + 0.5 * rng.normal(size=200), is_member, attack=f"{k}") for k in range(3)
        ]
        fired += null_check(reports) is not None
    assert fired <= 20
