"""The README's and CONTRIBUTING's Python runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def snippets(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
@pytest.mark.filterwarnings("ignore:.*each shadow model trains on:UserWarning")
@pytest.mark.filterwarnings("ignore:.*shadow models are trained instead of:UserWarning")
@pytest.mark.filterwarnings("ignore:.*even 4 shadow models cost more:UserWarning")
@pytest.mark.filterwarnings("ignore:.*the target was trained before this fit:UserWarning")  # one model for all snippets
@pytest.mark.filterwarnings("ignore:mia_auc. no epoch kept:UserWarning")
@pytest.mark.filterwarnings(
    "ignore:.*PrivateCheckpoint .by val_accuracy. decides on:UserWarning"
)  # few records to share
def test_the_readme_runs(make_model, blobs, tmp_path, monkeypatch, capsys, assert_private):
    monkeypatch.chdir(tmp_path)
    (x_train, y_train), (x_test, y_test) = blobs
    names = {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
        "train_ids": np.arange(120),
        "test_ids": np.arange(90),
        "np": np,
        "model": make_model(metrics=["accuracy"]),
    }
    assert len(snippets("README.md")) == 16
    for snippet in snippets("README.md"):
        exec(snippet, names)
    assert "AUC" in capsys.readouterr().out
    assert (tmp_path / "logs" / "run1" / "mia" / "lira").is_dir()
    assert names["scores"].shape == (210,)
    assert (tmp_path / "reports.json").exists()
    assert (tmp_path / "shadows" / "fleet.json").exists()
    assert set(names["table"]["slice"]) >= {"entire", "class 0", "wrong", "class 2 & sex 1"}
    fit = {"verbose": 0, "validation_data": (x_test, y_test)}
    history = names["model"].fit(x_train, y_train, callbacks=names["callbacks"], **fit).history
    history |= names["model"].fit(x_train, y_train, epochs=2, callbacks=[names["mia"]], **fit).history
    assert {"mia_auc", "mia_entropy_auc"} <= set(history)
    with pytest.warns(UserWarning, match="cannot resolve"):
        names["test_the_release_does_not_leak"](assert_private)


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
def test_the_attack_of_an_afternoon_runs(make_model, blobs):
    from privacy_callbacks import audit
    from privacy_callbacks.attacks import Attack

    (snippet,) = snippets("CONTRIBUTING.md")
    names = {"__name__": "surprise"}
    exec(snippet, names)
    attack = names["Surprise"]()
    assert isinstance(attack, Attack)
    (report,) = audit(make_model(), *blobs, attacks=attack)
    assert report.attack == "surprise"
    assert report.num_nonmembers == 60
