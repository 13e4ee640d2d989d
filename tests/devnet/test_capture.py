"""Capture: a block read from a node equals the block known from elsewhere, or nothing is written."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from agent.chain.jsonrpc import Request, RpcError
from agent.chain.rpc import HttpRpc, Rpc
from agent.devnet.anvil import Anvil
from agent.devnet.archive import Archive
from agent.devnet.capture import capture, capture_from
from agent.devnet.case import Case, load_case
from agent.devnet.checks import verify_case
from agent.devnet.proofs import ProofError, verify_proof
from agent.devnet.replay import CaseNode
from agent.errors import AgentError, ConfigError, ProtocolError, RateLimited, SetupError
from agent.eth.hexes import to_hash
from agent.eth.keccak import keccak256
from agent.eth.units import Address

pytestmark = pytest.mark.anvil

SMALL = 24628607
KEY = "0x" + "11" * 32
SENDER = Account.from_key(KEY).address
COUNTER = "0x0000000000000000000000000000000000070001"
COUNTER_CODE = "0x5f5460010180" + "5f555f526020" + "5fa000"  # adds one to slot 0 and logs it


@pytest.fixture(scope="session")
def small(mainnet: Path) -> Case:
    return load_case(mainnet / "public" / f"{SMALL}.json.gz")


def _names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Meddling:
    """A node whose answers pass through `change`, and which counts what it is asked."""

    def __init__(
        self, rpc: Rpc, change: Callable[[str, Any, Any], Any] = lambda _method, _params, result: result
    ) -> None:
        self._rpc = rpc
        self._change = change
        self.asked: list[str] = []

    @property
    def peer(self) -> str:
        return self._rpc.peer

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        self.asked.append(method)
        return self._change(method, params, await self._rpc.call(method, params))

    async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        self.asked += [method for method, _ in requests]
        results = await self._rpc.batch(requests)
        return [
            result if isinstance(result, RpcError) else self._change(method, params, result)
            for (method, params), result in zip(requests, results, strict=True)
        ]

    async def close(self) -> None:
        await self._rpc.close()


@pytest.mark.parametrize(
    "block", [SMALL, 19933597, *(pytest.param(block, marks=pytest.mark.slow) for block in (13217637, 24647140))]
)
async def test_what_is_captured_from_a_case_is_that_case(mainnet: Path, tmp_path: Path, block: int) -> None:
    known = load_case(mainnet / "public" / f"{block}.json.gz")
    out = tmp_path / "captured.json.gz"
    with Archive(known) as archive:
        captured = await capture(block, archive.url, out)
    case = load_case(out)
    verify_case(case)
    assert case == captured.case
    assert case.header == known.header
    assert [(tx.raw, tx.sender) for tx in case.transactions] == [(tx.raw, tx.sender) for tx in known.transactions]
    assert (case.fork, case.withdrawals) == (known.fork, known.withdrawals)
    for address, account in case.accounts.items():
        original = known.accounts[address]
        assert (account.balance_wei, account.nonce, account.code_hash) == (
            original.balance_wei,
            original.nonce,
            original.code_hash,
        )
        assert account.storage.items() <= original.storage.items()
    slots = sum(len(account.storage) for account in case.accounts.values())
    assert slots >= 0.99 * sum(len(account.storage) for account in known.accounts.values())
    assert _names_in(tmp_path) == ["captured.json.gz"]
    async with await CaseNode.start(case) as node:
        assert (await node.replay()).is_proved


async def test_the_same_block_gives_the_same_bytes(small: Case, tmp_path: Path) -> None:
    files = []
    with Archive(small) as archive:
        for name in ("a.json.gz", "b.json.gz"):
            await capture(SMALL, archive.url, tmp_path / name)
            files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


@pytest.fixture
async def chain() -> AsyncIterator[Anvil]:
    """A chain of its own whose third block counts twice: it has real state roots, proofs and traces."""
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1) as anvil:
        await anvil.call("anvil_setBalance", SENDER, hex(10**20))
        await anvil.call("anvil_setCode", COUNTER, COUNTER_CODE)
        await anvil.call("anvil_setStorageAt", COUNTER, "0x0", f"0x{41:064x}")
        await anvil.call("evm_mine")
        await anvil.call("evm_mine")
        for nonce in range(2):
            await anvil.call("eth_sendRawTransaction", _signed(nonce))
        await anvil.call("evm_mine")
        yield anvil


def _signed(nonce: int) -> str:
    fields = {"type": 2, "chainId": 1, "nonce": nonce, "to": COUNTER, "value": 0, "gas": 100_000, "data": b""}
    fields |= {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
    return "0x" + bytes(Account.sign_transaction(fields, KEY).raw_transaction).hex()


async def test_a_node_with_traces_and_proofs_is_asked_for_both(chain: Anvil, tmp_path: Path) -> None:
    captured = await capture(3, chain.rpc_url, tmp_path / "case.json")
    assert captured.is_traced
    assert captured.is_proved
    case = load_case(tmp_path / "case.json")
    counter = case.accounts[Address(bytes.fromhex(COUNTER[2:]))]
    assert counter.storage == {0: 41}, "the value before the block, not after its first transaction"
    assert case.complete["state_evidence"].startswith("each value was proved")
    assert len(case.transactions) == 2


async def test_without_a_trace_and_without_proofs_the_replay_finds_the_same(chain: Anvil, tmp_path: Path) -> None:
    async with HttpRpc(chain.rpc_url) as rpc:
        whole = await capture_from(3, rpc, tmp_path / "whole.json")
        bare = await capture_from(3, Without(rpc, "debug_", "eth_getProof"), tmp_path / "bare.json")
    assert (bare.is_traced, bare.is_proved) == (False, False)
    plain = {address: account.storage for address, account in bare.case.accounts.items()}
    assert plain == {address: account.storage for address, account in whole.case.accounts.items()}


class Without(Meddling):
    """A node that does not have some methods."""

    def __init__(self, rpc: Rpc, *prefixes: str) -> None:
        super().__init__(rpc)
        self._prefixes = prefixes

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        if method.startswith(self._prefixes):
            raise RpcError("method not found", rpc_code=-32601)
        return await super().call(method, params)

    async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        if any(method.startswith(self._prefixes) for method, _ in requests):
            return [RpcError("method not found", rpc_code=-32601) for _ in requests]
        return await super().batch(requests)


async def test_a_node_that_says_other_than_it_proves_is_caught(chain: Anvil, tmp_path: Path) -> None:
    def lie(method: str, _params: Any, result: Any) -> Any:
        return f"0x{42:064x}" if method == "eth_getStorageAt" else result

    async with HttpRpc(chain.rpc_url) as rpc:
        with pytest.raises(ProtocolError, match="something else than it proves"):
            await capture_from(3, Meddling(rpc, lie), tmp_path / "case.json")
    assert not (tmp_path / "case.json").exists()


async def test_a_node_that_lies_without_proofs_is_caught_by_the_receipts(chain: Anvil, tmp_path: Path) -> None:
    def lie(method: str, _params: Any, result: Any) -> Any:
        return f"0x{42:064x}" if method == "eth_getStorageAt" else result

    async with HttpRpc(chain.rpc_url) as rpc:
        node = Meddling(Without(rpc, "eth_getProof"), lie)
        with pytest.raises(SetupError, match="does not replay") as caught:
            await capture_from(3, node, tmp_path / "case.json")
    assert caught.value.code == "E_CAPTURE_UNPROVED"
    assert not (tmp_path / "case.json").exists()


async def test_a_block_that_does_not_hash_to_its_hash_is_refused(chain: Anvil, tmp_path: Path) -> None:
    def lie(method: str, _params: Any, result: Any) -> Any:
        return result | {"gasUsed": "0x1"} if method == "eth_getBlockByNumber" else result

    async with HttpRpc(chain.rpc_url) as rpc:
        with pytest.raises(ProtocolError, match="does not hash"):
            await capture_from(3, Meddling(rpc, lie), tmp_path / "case.json")
    assert _names_in(tmp_path) == []


class Breaks(Meddling):
    """A node that is gone after some slots."""

    def __init__(self, rpc: Rpc, *, after_slots: int) -> None:
        super().__init__(rpc)
        self._left = after_slots

    async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]:
        self._left -= sum(method == "eth_getStorageAt" for method, _ in requests)
        if self._left < 0:
            raise SetupError("the node is gone")
        return await super().batch(requests)


async def test_a_trace_that_takes_too_long_is_done_without(chain: Anvil, tmp_path: Path) -> None:
    class Slow(Meddling):
        async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
            if method.startswith("debug_"):
                raise ProtocolError("no answer within 30 s")
            return await super().call(method, params)

    async with HttpRpc(chain.rpc_url) as rpc:
        captured = await capture_from(3, Slow(rpc), tmp_path / "case.json")
    assert (captured.is_traced, captured.is_proved) == (False, True)


async def test_an_interrupted_capture_goes_on_where_it_stopped(small: Case, tmp_path: Path) -> None:
    out = tmp_path / "case.json.gz"
    with Archive(small) as archive:
        async with HttpRpc(archive.url) as rpc:
            with pytest.raises(SetupError, match="the node is gone"):
                await capture_from(SMALL, Breaks(rpc, after_slots=300), out)
            assert not out.exists()
            partial = out.with_name(out.name + ".partial")
            with partial.open("ab") as file:
                file.write(b'{"address":"0x12')  # a crash in the middle of a line
            second = Meddling(rpc)
            captured = await capture_from(SMALL, second, out)
            assert captured.resumed > 300
            assert second.asked.count("eth_getStorageAt") < 400
            fresh = tmp_path / "fresh.json.gz"
            await capture_from(SMALL, rpc, fresh)
    assert out.read_bytes() == fresh.read_bytes()
    assert not partial.exists()


async def test_what_was_read_of_another_block_is_not_taken_up(small: Case, chain: Anvil, tmp_path: Path) -> None:
    out = tmp_path / "case.json.gz"
    with Archive(small) as archive:
        async with HttpRpc(archive.url) as rpc:
            with pytest.raises(SetupError, match="the node is gone"):
                await capture_from(SMALL, Breaks(rpc, after_slots=300), out)
    captured = await capture(3, chain.rpc_url, out)
    assert captured.resumed == 0
    assert Address(bytes.fromhex(COUNTER[2:])) in captured.case.accounts
    assert len(captured.case.accounts) < 10


async def test_a_node_that_asks_for_patience_gets_it(chain: Anvil, tmp_path: Path) -> None:
    class Busy(Meddling):
        refusals = 3

        async def batch(self, requests: Sequence[Request]) -> list[Any | RpcError]:
            if self.refusals:
                self.refusals -= 1
                raise RateLimited("slow down", retry_after_ms=1)
            return await super().batch(requests)

    async with HttpRpc(chain.rpc_url) as rpc:
        captured = await capture_from(3, Busy(rpc), tmp_path / "case.json")
    assert captured.is_proved


async def test_a_wrong_chain_and_a_missing_block_and_a_full_disk_are_said_plainly(chain: Anvil, tmp_path: Path) -> None:
    def other_chain(method: str, _params: Any, result: Any) -> Any:
        return "0xa" if method == "eth_chainId" else result

    async with HttpRpc(chain.rpc_url) as rpc:
        with pytest.raises(ConfigError, match="chain 10"):
            await capture_from(3, Meddling(rpc, other_chain), tmp_path / "case.json")
        with pytest.raises(SetupError, match="no block 99"):
            await capture_from(99, rpc, tmp_path / "case.json")
        with pytest.raises(SetupError, match="cannot write") as caught:
            await capture_from(3, rpc, tmp_path / "no such folder" / "case.json")
        assert caught.value.code == "E_DISK"
    with pytest.raises(AgentError):
        await capture(3, "http://127.0.0.1:9", tmp_path / "case.json")
    assert _names_in(tmp_path) == []


async def test_state_that_the_archive_lacks_is_named(small: Case, tmp_path: Path) -> None:
    victim = small.transactions[5].to
    assert victim is not None
    tree = json.loads(gzip.decompress(_packed(small)))
    del tree["accounts"]["0x" + victim.hex()]
    spoilt = tmp_path / "spoilt.json"
    spoilt.write_text(json.dumps(tree))
    with Archive(load_case(spoilt)) as archive, pytest.raises(AgentError, match=victim.hex()):
        await capture(SMALL, archive.url, tmp_path / "case.json")
    assert not (tmp_path / "case.json").exists()


def _packed(case: Case) -> bytes:
    from tests.conftest import data_root

    return (data_root() / "mainnet" / "public" / f"{case.number}.json.gz").read_bytes()


async def _proof(chain: Anvil, address: str, *slots: int) -> tuple[bytes, dict[str, Any]]:
    root = to_hash((await chain.call("eth_getBlockByNumber", "0x2", False))["stateRoot"])
    return root, await chain.call("eth_getProof", address, [f"0x{slot:064x}" for slot in slots], "0x2")


async def test_proofs_of_presence_and_absence_hold(chain: Anvil) -> None:
    root, answer = await _proof(chain, COUNTER, 0, 1)
    account = verify_proof(to_hash("0x" + root.hex()), Address(bytes.fromhex(COUNTER[2:])), answer)
    assert account.storage == {0: 41, 1: 0}
    assert account.code_hash == keccak256(bytes.fromhex(COUNTER_CODE[2:]))
    assert not account.is_absent
    for number in range(40):  # absent keys that end in branches and in other keys' leaves
        stranger = "0x" + keccak256(number.to_bytes(2, "big"))[:20].hex()
        root, answer = await _proof(chain, stranger, 0)
        account = verify_proof(to_hash("0x" + root.hex()), Address(bytes.fromhex(stranger[2:])), answer)
        assert (account.is_absent, account.balance_wei, account.storage) == (True, 0, {0: 0})


async def test_no_changed_proof_holds(chain: Anvil) -> None:
    root, answer = await _proof(chain, COUNTER, 0)
    counter = Address(bytes.fromhex(COUNTER[2:]))
    spoilt: list[dict[str, Any]] = [
        answer | {"balance": "0x1"},
        answer | {"nonce": "0x5"},
        answer | {"accountProof": []},
        answer | {"accountProof": answer["accountProof"][:-1]},
        answer | {"accountProof": answer["accountProof"][1:]},
        answer | {"storageProof": [answer["storageProof"][0] | {"value": "0x2a"}]},
        answer | {"storageProof": [answer["storageProof"][0] | {"proof": []}]},
        answer | {"storageProof": [answer["storageProof"][0] | {"key": "0x1"}]},
        {},
    ]
    for index, node in enumerate(answer["accountProof"]):
        for at in range(4, len(node), 14):
            changed = node[:at] + ("1" if node[at] == "0" else "0") + node[at + 1 :]
            nodes = [*answer["accountProof"][:index], changed, *answer["accountProof"][index + 1 :]]
            spoilt.append(answer | {"accountProof": nodes})
    for case in spoilt:
        with pytest.raises(ProofError):
            verify_proof(to_hash("0x" + root.hex()), counter, case)
    with pytest.raises(ProofError):
        verify_proof(to_hash("0x" + "11" * 32), counter, answer)
