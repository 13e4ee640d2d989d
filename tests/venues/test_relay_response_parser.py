"""The strict response parser: framing, caps, and that cuts of the bytes change nothing."""

from __future__ import annotations

import http.client
import io
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.venues.onchain.http_response import ResponseError, ResponseParser
from agent.venues.onchain.replies import RawReply

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nDate: now\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + COUNTED
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\nall of it"
NO_BODY = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"


def parse(*chunks: bytes, is_closed: bool = False) -> ResponseParser:
    parser = ResponseParser(max_body_bytes=1000)
    for chunk in chunks:
        parser.feed(chunk)
    if is_closed:
        parser.feed_eof()
    return parser


@pytest.mark.parametrize(
    ("raw", "expected", "is_reusable"),
    [
        (COUNTED, RawReply(200, "application/json", b"{}"), True),
        (
            COUNTED.replace(b"\r\n\r\n", b"\r\nConnection: x, Close\r\n\r\n"),
            RawReply(200, "application/json", b"{}"),
            False,
        ),
        (COUNTED.replace(b"1.1", b"1.0"), RawReply(200, "application/json", b"{}"), False),
        (CHUNKED, RawReply(400, "", b"abcde"), True),
        (INTERIM, RawReply(200, "application/json", b"{}"), True),
        (NO_BODY, RawReply(204, "", b""), True),
        (b"HTTP/1.1 200\r\ncontent-length:0\r\nCONTENT-LENGTH: 0\r\n\r\n", RawReply(200, "", b""), True),
        (COUNTED + b"HTTP/1.1 200 OK\r\n", RawReply(200, "application/json", b"{}"), False),
    ],
)
def test_each_framing_gives_its_body(raw: bytes, expected: RawReply, is_reusable: bool) -> None:
    parser = parse(raw)
    assert parser.response == expected
    assert parser.is_reusable is is_reusable


def test_a_body_without_length_ends_with_the_connection() -> None:
    assert parse(UNTIL_CLOSE).response is None
    parser = parse(UNTIL_CLOSE, is_closed=True)
    assert parser.response == RawReply(200, "", b"all of it") and not parser.is_reusable


@given(st.sampled_from([COUNTED, CHUNKED, INTERIM, NO_BODY]), st.lists(st.integers(0, 200), max_size=12))
def test_where_the_network_cuts_the_bytes_makes_no_difference(raw: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    parser = parse(*(raw[a:b] for a, b in pairwise(edges)))
    assert (parser.response, parser.is_reusable) == (parse(raw).response, parse(raw).is_reusable)
    assert parser.response is not None


@given(st.sampled_from([COUNTED, CHUNKED, INTERIM]), st.integers(0, 200))
def test_a_response_that_is_cut_short_is_never_taken_for_whole(raw: bytes, size: int) -> None:
    parser = parse(raw[: min(size, len(raw) - 1)])
    assert parser.response is None
    with pytest.raises(ResponseError, match="inside the response"):
        parser.feed_eof()


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 999 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9,
        b"garbage\r\n\r\n",
        b"x" * 17_000,
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * 17_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2_000,
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1_001,
    ],
)
def test_what_could_be_read_in_two_ways_or_without_end_is_refused(raw: bytes) -> None:
    with pytest.raises(ResponseError):
        parse(raw)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_wait_for_more(raw: bytes) -> None:
    try:
        assert parse(raw).response is None
    except ResponseError:
        return


class _Socket:
    """What http.client needs of a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def by_standard_library(raw: bytes) -> tuple[int, bytes]:
    response = http.client.HTTPResponse(_Socket(raw))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


PIECES = [
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 404\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"Content-Length: 3\r\n",
    b"content-length:3 \r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"X: y\r\n", b"\r\n",
    b"abc", b"3\r\nabc\r\n", b"0\r\n", b"0\r\n\r\n", b"2;e=1\r\nde\r\n", b"A-b: \xff\r\n", b" folded\r\n", b"\n", b"{}",
]  # fmt: skip


@settings(max_examples=400)
@given(
    st.tuples(
        st.sampled_from([PIECES[0], PIECES[1], PIECES[2] + PIECES[0]]),
        st.lists(st.sampled_from(PIECES), max_size=3).map(b"".join),
        st.just(b"\r\n"),
        st.lists(st.sampled_from(PIECES), max_size=4).map(b"".join),
    ).map(b"".join)
)
def test_whatever_is_taken_for_an_answer_is_read_alike_by_the_standard_library(raw: bytes) -> None:
    parser = ResponseParser(max_body_bytes=1000)
    try:
        parser.feed(raw)
        parser.feed_eof()
    except ResponseError:
        return
    assert parser.response is not None
    assert (parser.response.status, parser.response.body) == by_standard_library(raw)


@pytest.mark.parametrize("raw", [COUNTED, CHUNKED, INTERIM.replace(b"103", b"100"), UNTIL_CLOSE, NO_BODY])
def test_the_plain_forms_are_read_alike_by_the_standard_library(raw: bytes) -> None:
    response = parse(raw, is_closed=True).response
    assert response is not None
    assert (response.status, response.body) == by_standard_library(raw)
