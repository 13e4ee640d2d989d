"""Eight local endpoints in a process of their own: each answers a POST with a digest of what it got.

Started by `benchmarks.fanout` with the paths of a certificate and a key, or with none for plain HTTP; prints the
ports, and ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import sys
from typing import cast

COUNT = 8


class Endpoint(asyncio.Protocol):
    """Just enough HTTP for clients that send a Content-Length."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, chunk: bytes) -> None:
        self._buffer += chunk
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields[b"content-length"]):
            return
        self._buffer = b""
        seen = hashlib.sha256(body + fields[b"x-flashbots-signature"]).hexdigest()
        answer = b'{"jsonrpc":"2.0","id":1,"result":{"bundleHash":"0x%b"}}' % seen.encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)
        )


async def serve(files: list[str]) -> None:
    tls = None
    if files:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Endpoint, "127.0.0.1", 0, ssl=tls) for _ in range(COUNT)]
    sys.stdout.write(" ".join(str(server.sockets[0].getsockname()[1]) for server in servers) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:]))
