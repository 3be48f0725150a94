import numpy as np
import pytest

from privacy_callbacks.attacks import loss_iqr


def test_the_iqr_of_a_course_is_its_interquartile_range():
    np.testing.assert_allclose(loss_iqr([[4, 1], [3, 1], [2, 1], [1, 1], [0, 1]]), [2, 0])


def test_the_sign_of_the_loss_does_not_matter():
    losses = np.random.default_rng(0).normal(size=(7, 20))
    np.testing.assert_allclose(loss_iqr(losses), loss_iqr(-losses))


@pytest.mark.parametrize("losses", [[1.0, 2.0], np.zeros((0, 3))])
def test_what_is_no_course_is_refused(losses):
    with pytest.raises(ValueError, match=r"\(audits, records\)"):
        loss_iqr(losses)
