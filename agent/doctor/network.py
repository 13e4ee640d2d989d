"""Checks of what the configuration names: keys, the node, relays, the guard.

What a peer answers is data: it is compared, never shown, for it may say anything.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config import resolve
from agent.doctor.machine import clock
from agent.doctor.rows import Row, fail, ok, warn
from agent.errors import ConfigError, ProtocolError
from agent.eth.hexes import address_text, from_data
from agent.settings import Reference, Settings

TIMEOUT_S = 5
ANSWER_BYTES_MAX = 1024 * 1024
CLOCK_SLACK_S = 30
"""A head is up to 12 s old when it is the newest there is, and slots are missed."""


def keys(settings: Settings) -> Iterator[Row]:
    """Where secrets lie, that they can be read, and that nobody else can read them. Their text is not kept."""
    named = {
        "onchain.signer": settings.onchain.signer,
        "onchain.relay_identity": settings.onchain.relay_identity,
        "purpleflea.api_key": settings.purpleflea.api_key,
    }
    if not any(named.values()):
        yield ok("keys", "none configured; local worlds make their own")
    for name, reference in named.items():
        if reference is None:
            continue
        path = secret_file(reference)
        try:
            if reference.kind != "keystore":
                resolve(reference, key=name)
        except ConfigError as error:
            yield fail("keys", error.message, error.hint)
            continue
        if path is not None and path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield fail("keys", f"{name}: others may read {path}", f"chmod 600 {path}")
        elif reference.kind == "keystore" and (path is None or not path.is_file()):
            yield fail("keys", f"{name}: there is no keystore at {path}", "make one with any Ethereum keystore tool")
        else:
            yield ok("keys", f"{name}: {reference}")


def secret_file(reference: Reference) -> Path | None:
    if reference.kind == "file":
        return Path(reference.name)
    if reference.kind == "keystore":
        name = Path(reference.name)
        return name if name.is_absolute() or name.suffix == ".json" else Path("keystores") / f"{name}.json"
    return None


def node(settings: Settings) -> Iterator[Row]:
    """The configured node: its chain, its clock beside ours, what it can simulate, the executor's code on it."""
    reference = settings.onchain.http_url
    if reference is None:
        yield ok("node url", "none configured; local worlds need none")
        yield from clock()
        return
    url = resolve(reference, key="onchain.http_url")
    begun = time.perf_counter()
    try:
        chain_id = int(rpc(url, "eth_chainId", []), 16)
        head = rpc(url, "eth_getBlockByNumber", ["latest", False])
        timestamp = int(head["timestamp"], 16)
    except (ProtocolError, TypeError, KeyError, ValueError) as error:
        finding = (
            error.message if isinstance(error, ProtocolError) else "answers something that is not Ethereum JSON-RPC"
        )
        yield fail("node", f"{reference}: {finding}", "check onchain.http_url and the node")
        return
    took_ms = (time.perf_counter() - begun) * 500
    if chain_id != settings.onchain.chain_id:
        yield fail(
            "node",
            f"{reference} is on chain {chain_id}, the configuration says {settings.onchain.chain_id}",
            "correct onchain.chain_id or onchain.http_url",
        )
        return
    yield ok("node", f"{reference}: chain {chain_id}, {took_ms:.1f} ms a request")
    age_s = time.time() - timestamp
    if age_s < -CLOCK_SLACK_S:
        yield fail("clock", f"the newest block is {-age_s:.0f} s in the future", "set this machine's clock (NTP)")
    elif age_s > CLOCK_SLACK_S:
        yield warn(
            "clock", f"the newest block is {age_s:.0f} s old", "set this machine's clock, or wait for the node to sync"
        )
    else:
        yield ok("clock", f"the newest block is {age_s:.0f} s old")
    yield from simulation(url)
    yield from executor_on_chain(url, settings)


def simulation(url: str) -> Iterator[Row]:
    try:
        rpc(url, "eth_simulateV1", [{"blockStateCalls": [{"calls": []}]}, "latest"])
    except ProtocolError:
        yield warn("simulation", "the node has no eth_simulateV1", "use geth, reth or anvil of 2025 or later")
    else:
        yield ok("simulation", "eth_simulateV1")


def executor_on_chain(url: str, settings: Settings) -> Iterator[Row]:
    """The configured contract is one of our builds, but for the WETH address in it."""
    from agent.venues.onchain.executor import load_build

    address = settings.onchain.executor
    if address is None:
        yield ok("executor", "no address configured; `mev-agent deploy` makes one")
        return
    try:
        code = from_data(str(rpc(url, "eth_getCode", [address_text(address), "latest"])))
    except (ProtocolError, ValueError) as error:
        yield fail("executor", f"its code cannot be read: {error}", "check the node")
        return
    for name in ("cancun", "london"):
        build = load_build(name)
        template = bytearray(code)
        for offset in build.weth_offsets:
            template[offset : offset + 32] = bytes(len(template[offset : offset + 32]))
        if bytes(template) == build.runtime_template:
            yield ok("executor", f"{address_text(address)} is the {name} build")
            return
    finding = "has no code" if not code else "is not one of our builds"
    yield fail("executor", f"{address_text(address)} {finding}", "run mev-agent deploy, or correct onchain.executor")


def endpoints(settings: Settings) -> Iterator[Row]:
    """A connection to each relay, nothing sent."""
    if not settings.onchain.endpoints:
        yield ok("endpoints", "none configured; local worlds bring their own relay")
    for endpoint in settings.onchain.endpoints:
        subject = f"{endpoint.name}"
        address = urlsplit(resolve(endpoint.url, key=f"onchain.endpoints.{endpoint.name}"))
        port = address.port or (443 if address.scheme in ("https", "wss") else 80)
        begun = time.perf_counter()
        try:
            with socket.create_connection((address.hostname or "", port), timeout=TIMEOUT_S):
                took_ms = (time.perf_counter() - begun) * 1000
        except OSError as error:
            yield fail(
                subject, f"{endpoint.url} cannot be reached: {reason(error)}", "check the address and the network"
            )
            continue
        yield ok(subject, f"{endpoint.url}: connects in {took_ms:.1f} ms")
        if address.scheme in ("http", "ws") and address.hostname not in ("127.0.0.1", "localhost", "::1"):
            yield warn(subject, f"{endpoint.url} is not encrypted: bundles could be read on the way", "use https")


def guard(settings: Settings) -> Iterator[Row]:
    """Only live needs it, and only live refuses to start without."""
    if settings.mode == "live":
        yield warn("guard", "a chain with real funds is not traded by this build", 'set mode = "shadow"')
    else:
        yield ok("guard", f"not needed in mode {settings.mode}")


def rpc(url: str, method: str, parameters: list[Any]) -> Any:
    """One JSON-RPC call by the standard library, over HTTP; ProtocolError for anything but a result."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            answer = json.loads(reply.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        raise ProtocolError(f"answers with HTTP {error.code}", method=method) from None
    except (OSError, urllib.error.URLError) as error:
        raise ProtocolError(f"cannot be reached: {reason(error)}", method=method) from None
    except ValueError:
        raise ProtocolError("answers something that is not JSON", method=method) from None
    if not isinstance(answer, dict) or "result" not in answer:
        raise ProtocolError(f"refuses {method}", method=method)
    return answer["result"]


def reason(error: OSError) -> str:
    inner = getattr(error, "reason", error)
    if isinstance(inner, TimeoutError):
        return f"no answer in {TIMEOUT_S} s"
    return (
        os.strerror(inner.errno)
        if isinstance(inner, OSError) and inner.errno and inner.errno > 0
        else "the name is unknown"
    )
