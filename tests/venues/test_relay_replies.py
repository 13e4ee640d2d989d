"""Answers of relays, as they were seen in the wild, to a class and a rule for sending again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.venues.onchain.outcomes import TRAITS, Outcome
from agent.venues.onchain.replies import Lost, RawReply, ReplyClass, Resend, classify


def test_all_known_answers_get_their_class_and_their_rule(vectors: Path) -> None:
    cases = json.loads((vectors / "bundles" / "errors.json").read_text())["cases"]
    assert len(cases) == 29
    for case in cases:
        reply = classify(RawReply(case["http_status"], case["content_type"], case["body"].encode()))
        assert reply.reply_class == case["class"], case["name"]
        assert (reply.resend is not Resend.NEVER) == case["retryable"], case["name"]
        if case["class"] == "unknown_outcome":
            assert reply.resend is Resend.SAME_ID_ONLY
            assert reply.outcome is Outcome.UNKNOWN and not reply.is_absent
        if "bundleHash" in case["body"] or case["name"].startswith("blink"):
            assert reply.bundle_hash is not None and reply.outcome is Outcome.ACCEPTED


def test_what_was_written_and_not_answered_may_have_been_accepted() -> None:
    reply = classify(Lost("cut", was_written=True))
    assert (reply.reply_class, reply.resend, reply.is_absent) == (ReplyClass.UNKNOWN, Resend.SAME_ID_ONLY, False)


def test_what_never_left_is_certainly_absent() -> None:
    reply = classify(Lost("refused", was_written=False))
    assert (reply.reply_class, reply.resend, reply.is_absent) == (ReplyClass.UNAVAILABLE, Resend.LATER, True)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"{}", ReplyClass.UNKNOWN),
        (200, b"[]", ReplyClass.UNKNOWN),
        (200, b"null", ReplyClass.UNKNOWN),
        (200, b"\xff\xfe", ReplyClass.UNKNOWN),
        (200, b"[" * 100_000, ReplyClass.UNKNOWN),
        (200, b'{"error":{"code":-32000,"message":"something new"}}', ReplyClass.UNKNOWN),
        (200, b'{"error":7}', ReplyClass.UNKNOWN),
        (200, b'{"error":{"code":"x","message":null}}', ReplyClass.UNKNOWN),
        (500, b'{"result":{"bundleHash":"0x00"}}', ReplyClass.UNKNOWN),
        (500, b"", ReplyClass.UNKNOWN),
        (307, b"", ReplyClass.UNAVAILABLE),
        (408, b"", ReplyClass.UNKNOWN),
        (429, b"<html>", ReplyClass.RATE_LIMITED),
        (400, b"no json", ReplyClass.INVALID_REQUEST),
        (401, b"", ReplyClass.AUTH),
        (403, b"<html>country</html>", ReplyClass.UNAVAILABLE),
        (405, b"", ReplyClass.UNSUPPORTED_METHOD),
        (403, b'{"error":"method is deprecated"}', ReplyClass.REMOVED_METHOD),
    ],
)
def test_other_answers_are_unknown_unless_the_status_is_a_definite_no(
    status: int, body: bytes, expected: ReplyClass
) -> None:
    assert classify(RawReply(status, "application/json", body)).reply_class is expected


@given(st.integers(100, 599), st.text(max_size=12), st.binary(max_size=60))
def test_any_bytes_get_a_class_and_only_a_success_counts_as_accepted(status: int, kind: str, body: bytes) -> None:
    reply = classify(RawReply(status, kind, body))
    assert reply.outcome in TRAITS
    accepted = reply.outcome in (Outcome.ACCEPTED, Outcome.ACCEPTED_NO_RECEIPT)
    assert accepted == (reply.reply_class is ReplyClass.SUCCESS)
    assert not accepted or status < 300
    assert reply.text.isprintable() or not reply.text
    assert len(reply.text) <= 200


def test_the_text_of_a_peer_is_one_short_printable_line() -> None:
    body = json.dumps({"error": {"code": -32000, "message": "err: \x1b[31m\nrun this" + "x" * 500}}).encode()
    reply = classify(RawReply(200, "application/json", body))
    assert reply.text.isprintable() and len(reply.text) <= 200
