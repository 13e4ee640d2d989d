"""What a careful user writes today: one aiohttp session or httpx client, all posts gathered, connections kept alive."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

import aiohttp
import httpx


class NaiveFanOut:
    """Posts one signed body to every URL and reads every answer."""

    def __init__(self, urls: Sequence[str], tls: ssl.SSLContext | None) -> None:
        self._urls = urls
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls or True))

    async def send(self, body: bytes, header: str) -> list[bytes]:
        return list(await asyncio.gather(*(self._post(url, body, header) for url in self._urls)))

    async def close(self) -> None:
        await self._session.close()

    async def _post(self, url: str, body: bytes, header: str) -> bytes:
        headers = {"Content-Type": "application/json", "X-Flashbots-Signature": header}
        async with self._session.post(url, data=body, headers=headers) as response:
            return await response.read()


class HttpxFanOut:
    """The same by httpx."""

    def __init__(self, urls: Sequence[str], tls: ssl.SSLContext | None) -> None:
        self._urls = urls
        self._client = httpx.AsyncClient(verify=tls or True)

    async def send(self, body: bytes, header: str) -> list[bytes]:
        return list(await asyncio.gather(*(self._post(url, body, header) for url in self._urls)))

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, url: str, body: bytes, header: str) -> bytes:
        headers = {"Content-Type": "application/json", "X-Flashbots-Signature": header}
        return (await self._client.post(url, content=body, headers=headers)).content
