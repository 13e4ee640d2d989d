"""What a node, a file or a person may get wrong: one clear message, the right exit code, nothing on stdout."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from agent.devnet.anvil import Anvil, free_port
from tests.session.conftest import Command, Ran

NODE_COMMANDS = (
    ("run", "--fork-url"),
    ("run", "--rpc-url"),
    ("devnet", "up", "--fork-url"),
    ("spreads", "--fork-url"),
    ("spreads", "--rpc-url"),
)
CASE_COMMANDS = (
    ("run", "--case"),
    ("survey", "--case"),
    ("devnet", "up", "--case"),
    ("spreads", "--case"),
    ("quote", "--pool", "0x" + "11" * 20, "--token-in", "0x" + "22" * 20, "--amount-in", "1", "--case"),
    ("inspect", "abcdef123456", "--case"),
)


def told(ran: Ran, *, code: int, word: str) -> None:
    assert ran.code == code, ran.stderr
    assert ran.stdout == ""
    assert word in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("error:") == 1


@pytest.fixture
async def page() -> AsyncIterator[str]:
    """A web server that answers every request with a page."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="<html>Please log in</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/secret-key"
    await runner.cleanup()


@pytest.mark.parametrize("words", NODE_COMMANDS, ids=" ".join)
async def test_a_node_that_is_not_there(words: tuple[str, ...], mev_agent: Command) -> None:
    port = free_port()
    told(await mev_agent(*words, f"http://127.0.0.1:{port}/secret-key"), code=4, word="cannot reach the node")
    told(await mev_agent(*words, f"ws://127.0.0.1:{port}/secret-key"), code=4, word="cannot open a WebSocket")


@pytest.mark.parametrize("words", NODE_COMMANDS, ids=" ".join)
async def test_a_node_that_is_a_web_page(words: tuple[str, ...], mev_agent: Command, page: str) -> None:
    ran = await mev_agent(*words, page)
    told(ran, code=4, word="text/html")
    assert "secret-key" not in ran.stderr
    told(await mev_agent(*words, page.replace("http:", "ws:")), code=4, word="cannot open a WebSocket")


@pytest.mark.anvil
async def test_a_node_on_another_chain(mev_agent: Command) -> None:
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1_337) as anvil:
        for words in (("run", "--fork-url"), ("run", "--rpc-url"), ("spreads", "--fork-url")):
            told(await mev_agent(*words, anvil.rpc_url), code=4, word="1337")
        ran = await mev_agent("run", "--fork-url", anvil.rpc_url, "--set", "onchain.chain_id=1337", "--blocks", 1)
        assert ran.code == 0, ran.stderr
        assert "no pool that we know of" in ran.stderr + ran.stdout


@pytest.mark.parametrize("words", CASE_COMMANDS, ids=lambda words: words[0])
async def test_a_case_that_is_cut_off_garbled_or_absent(
    words: tuple[str, ...], mev_agent: Command, tmp_path: Path
) -> None:
    path = tmp_path / "block.json.gz"
    told(await mev_agent(*words, path), code=3, word="block.json.gz")
    path.write_bytes(gzip.compress(b'{"format": "mainnet-capture/1"' + b" " * 10_000)[:-20])
    told(await mev_agent(*words, path), code=3, word="block.json.gz")
    path.write_bytes(gzip.compress(b'{"format": "something-else/1"}'))
    told(await mev_agent(*words, path), code=3, word="block.json.gz")


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "absent"),
        ("replay", "absent", "--deep"),
        ("journal", "verify", "absent"),
        ("journal", "tail", "absent"),
        ("journal", "why", "absent", "abcdef123456"),
        ("journal", "export", "absent", "--out", "exported"),
        ("inspect", "abcdef123456", "--run", "absent"),
    ],
    ids=" ".join,
)
async def test_a_run_that_is_not_there(words: tuple[str, ...], mev_agent: Command, tmp_path: Path) -> None:
    told(await mev_agent(*words), code=4, word="absent")
    assert not (tmp_path / "exported").exists()
