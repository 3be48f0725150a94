"""A summary writer that cannot write does not stay TensorFlow's default."""

import keras
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import LeakageReport
from privacy_callbacks.default_writer import writing_to
from privacy_callbacks.tensorboard_log import TensorBoardLog

REPORT = LeakageReport.from_scores([3.0, 2.0, 1.0, 0.0], [1, 0, 1, 0], "loss")


@pytest.fixture
def full(monkeypatch, tmp_path):
    """A writer's class, whose flushing fails as on a full disk while the context lasts."""
    kind = type(tf.summary.create_file_writer(str(tmp_path / "another")))

    def fails(self):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    def fill():
        monkeypatch.setattr(kind, "flush", fails)
        monkeypatch.setattr(kind, "close", lambda self: None)

    return fill


def there_is_a_default():
    """True if somebody's summaries would go somewhere."""
    return bool(tf.summary.scalar("anything", 1.0, step=0))


def test_summaries_reach_the_file(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    with tf.summary.record_if(False), writing_to(writer, 3):
        assert there_is_a_default()
    assert not there_is_a_default()
    writer.flush()
    writer.close()
    (path,) = tmp_path.iterdir()
    assert b"anything" in path.read_bytes()


def test_another_default_is_given_back(tmp_path):
    ours, theirs = (tf.summary.create_file_writer(str(tmp_path / name)) for name in ("ours", "theirs"))
    with theirs.as_default(7):
        with pytest.raises(ZeroDivisionError), writing_to(ours, 3):
            raise ZeroDivisionError
        tf.summary.scalar("later", 1.0)
    (path,) = (tmp_path / "theirs").iterdir()
    assert b"later" in path.read_bytes()


def test_a_full_disk_leaves_no_default_behind(full, tmp_path):
    log = TensorBoardLog(tmp_path, "mia")
    full()
    log.scalars(REPORT, 0)
    assert not there_is_a_default()
    with pytest.raises(tf.errors.ResourceExhaustedError):
        log.flush()
    assert not there_is_a_default()


def test_tensorflows_own_way_leaves_one(full, tmp_path):
    """Why it is done by hand."""
    writer = tf.summary.create_file_writer(str(tmp_path))
    full()
    with pytest.raises(tf.errors.ResourceExhaustedError), writer.as_default():
        pass
    assert there_is_a_default()
    from tensorflow.python.ops import summary_ops_v2

    summary_ops_v2._summary_state.writer = None
    assert not there_is_a_default()


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
def test_keras_own_callback_writes_on_beside_an_audit_that_cannot(full, make_model, blobs, tmp_path):
    from privacy_callbacks import MIACallback

    mia = MIACallback(*blobs, log_dir=tmp_path / "ours")
    members, _ = blobs

    class Fill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                full()

    with pytest.warns(UserWarning, match="No space left"):
        make_model().fit(*members, epochs=3, verbose=0, callbacks=[Fill(), mia])
    assert not there_is_a_default()
    assert len(mia.reports) >= 3
