"""Event files that were damaged or written by others: what may be shown of them is plain, and why the rest may not is said."""

import json
import zlib

import numpy as np
import pytest
from fuzz.odd_arrays import FUZZED, read_or_refused
from fuzz.odd_files import odd_bytes, odd_json
from hypothesis import example, given, settings
from hypothesis import strategies as st
from page.privacy_logs import content_of, packed, write_run
from page.privacy_payloads import audit_pieces, picture, ranges_payload, records_payload

from privacy_callbacks.logged_reports import logged_runs
from privacy_callbacks.privacy_page.one_file import one_file_page
from privacy_callbacks.tensorboard_plugin.log_directory import open_log_directory, page_data
from privacy_callbacks.tensorboard_plugin.payload_values import PayloadError
from privacy_callbacks.tensorboard_plugin.payloads import header_of, payload_of

_rng = np.random.default_rng(0)
_audit, _details = audit_pieces("lira", 3, _rng.normal(size=400) + np.repeat([0.5, 0], 200), 200, headline=True)
PAYLOADS = {
    "audit": _audit.payload,
    "details": _details.payload,
    "training": {"logs": {"loss": 0.25, "val_loss": 1 / 3}},
    "records": records_payload([3, 5], ["lira"], _rng),
    "pictures": {"pictures": {"3": picture(3)}},
    "verdict": {"text": "A leak.", "detected": {"lira": 3, "loss": None}, "void": None},
    "ranges": ranges_payload([1.0, 2.0], seed=0),
}


def plain(held):
    """The value as a browser gets it: strict JSON of whole letters."""
    return json.dumps(held, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("kind", PAYLOADS)
@FUZZED
@given(st.data())
def test_a_payload_is_plain_or_it_is_said_why_not(kind, data):
    valid = json.loads(json.dumps(PAYLOADS[kind]))
    tensor = data.draw(st.one_of(odd_json(valid).map(zlib.compress), odd_bytes(packed(valid))))
    found = read_or_refused(payload_of, kind, tensor, kind=PayloadError)
    if found is not None:
        plain(found)
        assert payload_of(kind, packed(found)) == found


@FUZZED
@given(
    st.one_of(odd_json(json.loads(content_of("mia", "lira", "audit"))), odd_bytes(content_of("mia", "lira", "audit")))
)
@example(b"[" * 4_000)
def test_a_header_is_plain_or_it_is_said_why_not(content):
    found = read_or_refused(header_of, content, kind=PayloadError)
    if found is not None:
        plain([found.name, found.attack, found.kind])


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """(the folder of a run's logs, its event files' contents by their path)."""
    folder = tmp_path_factory.mktemp("logs")
    write_run(folder / "run1", steps=range(2), attacks=("lira", "loss"), seed=0)
    return folder, {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@settings(FUZZED, max_examples=max(5, FUZZED.max_examples // 5))
@given(st.data())
def test_a_page_is_made_of_what_can_be_read(log, data):
    folder, contents = log
    for path, content in contents.items():
        path.write_bytes(content)
    damaged = data.draw(st.sampled_from(sorted(contents)))
    damaged.write_bytes(data.draw(odd_bytes(contents[damaged])))
    page = read_or_refused(lambda: page_data(open_log_directory(folder)), names=folder)
    if page is not None:
        plain(page)
        one_file_page(page, "Privacy")
        assert all(run.reports or run.unreadable for run in logged_runs(page))
