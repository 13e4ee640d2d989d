"""One HTTP/1.1 response out of bytes, strictly, without I/O.

Feed bytes until `response` is there. Whatever two parsers could read differently is refused: two lengths, a
length beside chunks, bare line feeds, folded lines, other transfer codings, compressed bodies. Everything is
capped. Source: RFC 9110 and 9112.
"""

from __future__ import annotations

import re

from agent.venues.onchain.replies import RawReply

MAX_HEAD_BYTES = 16_384
MAX_INTERIM_RESPONSES = 8

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t \x21-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t \x21-\x7e\x80-\xff]*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t \x21-\x7e\x80-\xff]{0,256})?")


class ResponseError(ValueError):
    """Bytes that are no response, or one that cannot be read in one way only."""


class ResponseParser:
    """Collects one response; use a new one for the next."""

    __slots__ = ("_body", "_buffer", "_chunks", "_content_type", "_interim", "_left", "_max_body", "_status", "_step",
                 "is_reusable", "response")  # fmt: skip

    def __init__(self, *, max_body_bytes: int) -> None:
        self._max_body = max_body_bytes
        self._buffer = bytearray()
        self._body = bytearray()
        self._step = self._read_head
        self._left = 0
        self._chunks = False
        self._status = 0
        self._content_type = ""
        self._interim = 0
        self.response: RawReply | None = None
        """The response, once it is complete."""
        self.is_reusable = False
        """Whether another request may follow on the connection, so far as the response says."""

    def feed(self, chunk: bytes) -> None:
        """Take bytes as they come; ResponseError ends the parser's use."""
        self._buffer += chunk
        while self.response is None and self._step():
            pass
        if self.response is not None and self._buffer:
            # Nobody asked for these bytes: the next answer on this connection could be forged.
            self.is_reusable = False

    def feed_eof(self) -> None:
        """The peer closed; completes a response that is delimited by it, else ResponseError."""
        if self.response is None and self._step == self._read_until_close:
            self._finish()
        if self.response is None:
            raise ResponseError("the connection closed inside the response")
        self.is_reusable = False

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ResponseError(f"a head of more than {MAX_HEAD_BYTES} bytes")
            return False
        if end > MAX_HEAD_BYTES:
            raise ResponseError(f"a head of more than {MAX_HEAD_BYTES} bytes")
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        status = _STATUS.fullmatch(lines[0])
        if status is None:
            raise ResponseError("no status line of HTTP/1")
        self._status = int(status[2])
        fields = _fields(lines[1:])
        if 100 <= self._status < 200:
            self._interim += 1
            if self._status == 101 or self._interim > MAX_INTERIM_RESPONSES:
                raise ResponseError(f"an interim response {self._status} that nobody asked for")
            return True
        self._content_type = b",".join(fields.get(b"content-type", ())).decode("latin-1")
        options = b",".join(fields.get(b"connection", ())).lower()
        tokens = {option.strip() for option in options.split(b",")}
        self.is_reusable = status[1] == b"1" and b"close" not in tokens
        if any(coding.strip().lower() not in (b"", b"identity") for coding in fields.get(b"content-encoding", ())):
            raise ResponseError("a compressed body, which was not asked for")
        self._choose_framing(fields)
        return True

    def _choose_framing(self, fields: dict[bytes, list[bytes]]) -> None:
        lengths, codings = fields.get(b"content-length", []), fields.get(b"transfer-encoding", [])
        if self._status in (204, 304):
            self._finish()
        elif codings:
            if lengths or [coding.lower() for coding in codings] != [b"chunked"]:
                raise ResponseError("a transfer coding other than chunks alone")
            self._step = self._read_chunk_size
        elif lengths:
            if len(set(lengths)) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 10:
                raise ResponseError("a content length that is no single number")
            self._left = int(lengths[0])
            self._check_size(self._left)
            self._step = self._read_counted
            if not self._left:
                self._finish()
        else:
            self.is_reusable = False
            self._step = self._read_until_close

    def _read_counted(self) -> bool:
        if len(self._buffer) < self._left:
            return False
        self._take(self._left)
        self._finish()
        return False

    def _read_until_close(self) -> bool:
        self._check_size(len(self._body) + len(self._buffer))
        self._take(len(self._buffer))
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = _CHUNK.fullmatch(line)
        if size is None:
            raise ResponseError("a chunk without a size")
        self._left = int(size[1], 16)
        self._check_size(len(self._body) + self._left)
        self._step = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        if len(self._buffer) < self._left + 2:
            return False
        self._take(self._left)
        if self._buffer[:2] != b"\r\n":
            raise ResponseError("a chunk that does not end where it said")
        del self._buffer[:2]
        self._step = self._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._finish()
            return False
        self._interim += 1
        if self._interim > 64 or _FIELD.fullmatch(line) is None:
            raise ResponseError("a trailer that is no field")
        return True

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, 1024)
        if end < 0:
            if len(self._buffer) >= 1024:
                raise ResponseError("a line of more than 1024 bytes between chunks")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take(self, size: int) -> None:
        self._body += self._buffer[:size]
        del self._buffer[:size]

    def _check_size(self, size: int) -> None:
        if size > self._max_body:
            raise ResponseError(f"an answer of more than {self._max_body} bytes")

    def _finish(self) -> None:
        self.response = RawReply(self._status, self._content_type, bytes(self._body))


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise ResponseError("a header line that is no field")
        fields.setdefault(field[1].lower(), []).append(field[2])
    return fields
