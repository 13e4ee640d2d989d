"""What waits at relays when the agent dies: its nonce is burned on a real chain, and its withdrawal is handed in."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from eth_account import Account
from web3 import Web3

from agent.devnet.identities import throwaway_key, throwaway_secret
from agent.engine.bundle_drops import DROPS_FILE, BundleDrops
from agent.engine.guarded import GuardedChain, GuardPlan, sign_burns, sign_halts, write_configuration
from agent.eth.hexes import to_data
from agent.eth.keys import sign_dynamic_fee
from agent.guard import burns, drops
from agent.guard.chain_rungs import DropBundles
from agent.guard.configuration import load
from agent.guard.peer import PeerFault
from agent.guard.signing import sign_burns as sign_burns_elsewhere
from agent.venues.onchain.bundle import Bundle, replacement_uuid
from agent.venues.onchain.endpoints import Cancel, Dialect, Endpoint
from agent.venues.onchain.executor import build_for_fork, load_build, runtime_code, storage
from agent.venues.onchain.relay import RelayClient
from agent.venues.onchain.signer import RelaySigner, verify_header
from agent.venues.onchain.transport import AiohttpTransport
from tests.guard.stage import Stage
from tests.guard.venue_double import VenueDouble
from tests.venues.executor_world import EXECUTOR, OWNER, VAULT, WETH, anvil, rpc, set_slot, text

GUARDIAN, OPERATORS = throwaway_key("guardian"), [throwaway_key("operator 0"), throwaway_key("operator 1")]
DIALECT = Dialect(
    name="local", sequence_field="replacementNonce", can_revert=False, can_drop=False, cancel=Cancel.EMPTY_BUNDLE
)
IDENTITY = RelaySigner(throwaway_key("relay"))
ETHER = 10**18


class Relay:
    """Keeps what it is sent, and answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        self.status = 200
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                relay.requests.append((self.headers.get("X-Flashbots-Signature", ""), body))
                self.send_response(relay.status)
                self.end_headers()

            def log_message(self, *words: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay()
    yield made
    made.stop()


def client_of(url: str) -> RelayClient:
    return RelayClient(
        Endpoint(name="local", url=url, dialect=DIALECT), identity=IDENTITY, transport=AiohttpTransport(url)
    )


def bundle(block_number: int, name: bytes = b"one", sequence: int = 7) -> Bundle:
    return Bundle(
        transactions=(b"\x02",), block_number=block_number, replacement_uuid=replacement_uuid(name), sequence=sequence
    )


def test_both_signers_sign_the_same_bytes() -> None:
    ours = sign_burns(OPERATORS, chain_id=1, nonces=[4, 0], base_fee_wei=7_000_000_000)
    accounts = [Account.from_key(throwaway_secret(f"operator {number}")) for number in range(2)]
    assert sign_burns_elsewhere(accounts, 1, [4, 0], 7_000_000_000) == ours


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"chain_id": 2}, "chain"),
        ({"base_fee_wei": 10**12}, "base fee"),
        ({"nonce": 3}, ""),
        ({"nonce": 2}, "nonces 3 to 66"),
        ({"nonce": 64}, "nonces 3 to 66"),
    ],
)
def test_burns_that_would_burn_nothing_are_seen(tmp_path: Path, changes: dict[str, int], why: str) -> None:
    path = tmp_path / "burns.json"
    path.write_text(json.dumps(sign_burns(OPERATORS[:1], chain_id=1, nonces=[3], base_fee_wei=10**9)))
    loaded = burns.load(path)
    at = {"chain_id": 1, "base_fee_wei": 10**9, "nonce": 10} | changes
    nonces = {to_data(OPERATORS[0].address): at["nonce"]}
    told = burns.why_stale(loaded, chain_id=at["chain_id"], base_fee_wei=at["base_fee_wei"], nonces=nonces)
    assert why in told and bool(told) == bool(why)
    (operator,) = loaded.operators
    assert operator.transaction(3, 1) != operator.transaction(3, 2) != operator.transaction(3, 9) is not None
    assert operator.transaction(2, 1) is operator.transaction(67, 1) is None


@pytest.mark.parametrize("read", [burns.load, drops.load])
def test_a_file_of_any_bytes_is_read_or_refused(tmp_path: Path, read: object) -> None:
    chance, path = random.Random(5), tmp_path / "file"
    folder_drops = BundleDrops(tmp_path)
    folder_drops.note(bundle(3), [client_of("http://127.0.0.1:9")])
    good = [(tmp_path / DROPS_FILE).read_bytes()]
    good.append(json.dumps(sign_burns(OPERATORS[:1], chain_id=1, nonces=[0], base_fee_wei=1)).encode()[:4_000])
    for _ in range(300):
        raw = bytearray(chance.choice(good) if chance.random() < 0.8 else chance.randbytes(200))
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        path.write_bytes(raw[: chance.randrange(1, len(raw) + 1)] if chance.random() < 0.3 else raw)
        try:
            read(path)  # type: ignore[operator] # one of the two
        except (ValueError, RecursionError):
            continue


@pytest.mark.anvil
def test_a_bundle_that_waits_can_land_no_more_when_the_agent_dies(tmp_path: Path, relay: Relay) -> None:
    with anvil("--hardfork", "cancun", "--block-time", "1") as web3:
        url = str(web3.provider.endpoint_uri)  # type: ignore[attr-defined] # an HTTP provider has one
        build = load_build(build_for_fork("cancun"))
        rpc(web3, "anvil_setCode", text(EXECUTOR), "0x" + runtime_code(build, weth=WETH).hex())
        slots = storage(owner=OWNER, operators=[], guardian=GUARDIAN.address, vault=VAULT, tokens=[], pools=[])
        for slot, value in slots.items():
            set_slot(web3, EXECUTOR, slot, value)
        for signer in (GUARDIAN, *OPERATORS):
            rpc(web3, "anvil_setBalance", text(signer.address), hex(ETHER))
        base_fee_wei = web3.eth.get_block("latest")["baseFeePerGas"]
        plan = GuardPlan(
            folder=tmp_path / "plan",
            chain=GuardedChain(
                nodes=(url,),
                executor=EXECUTOR,
                halts=sign_halts(GUARDIAN, executor=EXECUTOR, chain_id=1, first_nonce=0, base_fee_wei=base_fee_wei),
                burns=sign_burns(OPERATORS, chain_id=1, nonces=[0, 0], base_fee_wei=base_fee_wei),
                relays=(relay.url,),
            ),
        )
        plan.folder.mkdir()
        written = json.loads(write_configuration(plan).read_text())["chain"]
        for name in ("halts_file", "burns_file", "drops_file"):
            written[name] = str(plan.folder / written[name])
        client = client_of(relay.url)
        BundleDrops(plan.folder).note(bundle(web3.eth.block_number + 4), [client])
        pending = sign_dynamic_fee(
            OPERATORS[0], chain_id=1, nonce=0, max_priority_fee_wei=10**9, max_fee_wei=10**12, gas=21_000,
            to=EXECUTOR, value_wei=0, data=b"",
        )  # fmt: skip
        stage = Stage(tmp_path, VenueDouble(), chain=written)
        try:
            stage.start_guard()
            assert stage.status()["why_unready"] == ""
            stage.start_agent().kill()
            verified = stage.wait_verified(30)
            rungs = {rung["rung"]: rung for rung in verified["rungs"]}
            assert {"executor", "nonces", "bundles"} <= set(rungs)
            assert [web3.eth.get_transaction_count(Web3.to_checksum_address(one.address)) for one in OPERATORS] == [
                1,
                1,
            ]
            with pytest.raises(Exception, match="nonce"):
                web3.eth.send_raw_transaction(pending.raw)
            assert relay.requests, "and the relay was asked to forget it"
            signature, body = relay.requests[0]
            assert verify_header(signature, body) == IDENTITY.address
            assert replacement_uuid(b"one") in body.decode()
        finally:
            stage.close()


@pytest.mark.anvil
def test_nothing_is_handed_to_whom_the_configuration_does_not_name(tmp_path: Path, relay: Relay) -> None:
    stranger = Relay()
    with anvil() as web3:
        url = str(web3.provider.endpoint_uri)  # type: ignore[attr-defined] # an HTTP provider has one
        BundleDrops(tmp_path).note(bundle(9), [client_of(stranger.url), client_of(relay.url)])
        rung = DropBundles([url], [relay.url], tmp_path / DROPS_FILE)
        with pytest.raises(PeerFault, match="does not name"):
            rung.act(1)
        assert len(relay.requests) == 1 and not stranger.requests
        assert not rung.is_confirmed(), "its block is still to come"
        rpc(web3, "anvil_mine", hex(9))
        assert rung.is_confirmed()
    stranger.stop()


def test_a_refused_withdrawal_is_a_fault_and_no_bundles_are_none_to_drop(tmp_path: Path, relay: Relay) -> None:
    rung = DropBundles(["http://127.0.0.1:9"], [relay.url], tmp_path / DROPS_FILE)
    rung.act(1)
    assert rung.is_confirmed()
    BundleDrops(tmp_path).note(bundle(9), [client_of(relay.url)])
    with pytest.raises(PeerFault):
        rung.is_confirmed()


def test_what_is_written_is_the_latest_of_each_id_and_of_blocks_that_may_come(tmp_path: Path) -> None:
    kept, relays = BundleDrops(tmp_path), [client_of("http://127.0.0.1:9"), client_of("http://127.0.0.1:10")]
    for number in (5, 6):
        kept.note(bundle(number, b"old"), relays)
    kept.note(bundle(6, b"old", sequence=8), relays)
    kept.note(bundle(7, b"new"), relays)
    found = drops.load(tmp_path / DROPS_FILE)
    assert [(drop.target_block, drop.relay) for drop in found] == [
        (block, relay.endpoint.url) for block in (6, 7) for relay in relays
    ]
    kept.note(bundle(9, b"newest"), relays)
    assert {drop.target_block for drop in drops.load(tmp_path / DROPS_FILE)} == {9}
    assert (tmp_path / DROPS_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"operator_keystores": ["a"]}, "belong together"),
        ({"drops_file": "x"}, "belong together"),
        ({"relays": ["ftp://x"], "drops_file": "x"}, "http"),
    ],
)
def test_a_configuration_that_names_half_is_a_mistake(tmp_path: Path, changes: dict[str, object], word: str) -> None:
    from agent.guard.configuration import ConfigurationFault

    chain = {"nodes": ["http://127.0.0.1:9"], "executor": "0x" + "ab" * 20} | changes
    (tmp_path / "guard.json").write_text(json.dumps({"schema": 1, "folder": ".", "chain": chain}))
    with pytest.raises(ConfigurationFault, match=word):
        load(tmp_path / "guard.json")
