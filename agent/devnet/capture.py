"""A case from an archive node: read what the block touches, prove it, replay it, write it.

Which accounts and slots: the node's prestate trace where it has one (one request for the most part of them), and in
any case what anvil asks for while it replays the block through a recorder. Their values: read at the parent, and
proved against the parent's state root where the node gives Merkle proofs. A case is written only after it has been
replayed from its own file to the header's receipts root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent.chain.jsonrpc import Request, RpcError
from agent.chain.rpc import HttpRpc, Rpc
from agent.devnet.anvil import Anvil
from agent.devnet.capture_store import CaptureStore, write_case_file
from agent.devnet.case import CASE_FORMAT, Case, case_from_tree
from agent.devnet.checks import header_hash, verify_case
from agent.devnet.proofs import ProofError, verify_proof
from agent.devnet.recorder import Recorder
from agent.devnet.replay import CaseNode
from agent.errors import AgentError, ConfigError, ProtocolError, SetupError
from agent.eth.forks import MAINNET, Fork, mainnet_fork
from agent.eth.hexes import from_data, from_quantity, to_data, to_hash, to_quantity
from agent.eth.transactions import transaction_from_rpc
from agent.eth.units import Address, Hash32

Say = Callable[[str], None]

_FORK_WORDS = {
    Fork.LONDON: "london",
    Fork.ARROW_GLACIER: "arrowglacier",
    Fork.GRAY_GLACIER: "grayglacier",
    Fork.PARIS: "paris",
    Fork.SHANGHAI: "shanghai",
    Fork.CANCUN: "cancun",
    Fork.PRAGUE: "prague",
    Fork.OSAKA: "osaka",
    Fork.BPO1: "osaka(bpo1)",
    Fork.BPO2: "osaka(bpo2)",
}
_BLOCK_FIELDS_ONLY = ("transactions", "uncles", "size", "withdrawals", "totalDifficulty")
_PROOFS_AT_ONCE = 20
_SLOTS_PER_PROOF = 256
_NO_METHOD = (-32601, -32602)


class Captured(msgspec.Struct, frozen=True):
    """What was written, and on what evidence."""

    path: Path
    case: Case
    is_traced: bool
    """The node's prestate trace named most of the state."""
    is_proved: bool
    """Every value was proved against the parent's state root."""
    resumed: int
    """Records taken over from an earlier attempt."""


async def capture(block: int, rpc_url: str, out: Path, *, say: Say = lambda _: None) -> Captured:
    """Write block `block` as a case to `out`, read from the archive node at `rpc_url`.

    An interrupted capture goes on where it stopped (`out` + `.partial` holds what was read). Raises SetupError with
    what to do if the node lacks the block or its state, or if the result does not replay; then nothing is written.
    """
    async with HttpRpc(rpc_url) as rpc:
        return await capture_from(block, rpc, out, say=say)


async def capture_from(block: int, rpc: Rpc, out: Path, *, say: Say = lambda _: None) -> Captured:
    """`capture` from an open node."""
    chain_id = from_quantity(await rpc.call("eth_chainId"))
    if chain_id != MAINNET:
        raise ConfigError(
            f"the node is on chain {chain_id}; cases are blocks of mainnet (chain 1)", code="E_WRONG_CHAIN"
        )
    own, parent = await _blocks(rpc, block)
    tree = _tree(chain_id, own, parent)
    with CaptureStore.open(out.with_name(out.name + ".partial"), block_hash=to_hash(own["hash"])) as store:
        if store.resumed:
            say(f"going on with {store.resumed} records of an earlier attempt")
        recorder = Recorder(rpc, store, chain_id=chain_id, parent=tree["parent"])
        is_traced = await _read_in_bulk(rpc, recorder, own, say)
        await _read_by_replay(recorder, store, case_from_tree(tree), say)
        is_proved = await _prove(rpc, store, tree["parent"], say)
        case = _finish(tree, store, is_traced=is_traced, is_proved=is_proved)
        verify_case(case, path=out)
        await _check_by_replay(case, say)
        write_case_file(out, tree)
        store.discard()
    say(f"wrote {out}: {len(case.accounts)} accounts, {len(case.transactions)} transactions")
    return Captured(path=out, case=case, is_traced=is_traced, is_proved=is_proved, resumed=store.resumed)


async def _blocks(rpc: Rpc, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Block and parent as the node has them, by number and then by hash, so that they belong together."""
    own = await rpc.call("eth_getBlockByNumber", (to_quantity(number), True))
    if not isinstance(own, dict):
        raise SetupError(f"the node has no block {number}", code="E_NO_BLOCK", hint="is it synced that far?")
    if "baseFeePerGas" not in own:
        raise SetupError(
            f"block {number} is older than London", code="E_OLD_BLOCK", hint="choose a block from 12965000 on"
        )
    parent = await rpc.call("eth_getBlockByHash", (own["parentHash"], False))
    if not isinstance(parent, dict):
        raise SetupError(f"the node has no parent of block {number}", code="E_NO_BLOCK", hint="use an archive node")
    return own, parent


def _tree(chain_id: int, own: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """The case file without its state. ProtocolError where the node's block contradicts itself."""
    number, timestamp = from_quantity(own["number"]), from_quantity(own["timestamp"])
    header = _header(own)
    parent_header = _header(parent)
    try:
        if header_hash(header) != to_hash(header["hash"]):
            raise ProtocolError(f"the node's block {number} does not hash to its hash")
        if header_hash(parent_header) != to_hash(parent_header["hash"]):
            # Some archives know only hash and number of a parent; then say which fields cannot be trusted.
            parent_header["synthetic"] = sorted(set(parent_header) - {"hash", "number"})
        transactions = [_transaction(row) for row in own["transactions"]]
    except (KeyError, ValueError, TypeError) as error:
        raise ProtocolError(f"the node's block {number} is malformed: {str(error)[:200]}") from None
    return {
        "format": CASE_FORMAT,
        "chain_id": chain_id,
        "fork": _FORK_WORDS[mainnet_fork(block_number=number, timestamp=timestamp)],
        "header": header,
        "parent": parent_header,
        "transactions": transactions,
        "withdrawals": own.get("withdrawals"),
        "accounts": {},
        "codes": {},
        "block_hashes": {},
    }


def _header(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key not in _BLOCK_FIELDS_ONLY and value is not None}


def _transaction(row: Mapping[str, Any]) -> dict[str, Any]:
    decoded = transaction_from_rpc(row)
    if decoded.hash != to_hash(row["hash"]):
        raise ValueError(f"transaction {row['hash']} does not hash to its hash")
    return {**row, "from": to_data(decoded.sender), "rlp": to_data(decoded.raw)}


async def _read_in_bulk(rpc: Rpc, recorder: Recorder, own: Mapping[str, Any], say: Say) -> bool:
    """Read what the block names itself and what the node's trace names; False if it has no such trace."""
    addresses = {_address(own["miner"])}
    slots: dict[Address, set[int]] = {}
    for row in own["transactions"]:
        addresses |= {_address(text) for text in (row["from"], row.get("to")) if text is not None}
        for entry in row.get("accessList") or ():
            slots.setdefault(_address(entry["address"]), set()).update(map(from_quantity, entry["storageKeys"]))
    traces = await _prestate(rpc, own)
    for trace in traces or ():
        for text, account in trace.items():
            slots.setdefault(_address(text), set()).update(map(from_quantity, account.get("storage") or ()))
    how = "the node's prestate trace" if traces is not None else "what the block names (the node has no prestate trace)"
    say(f"reading {len(addresses | slots.keys())} accounts and {sum(map(len, slots.values()))} slots from {how}")
    await recorder.read(sorted(addresses), {address: sorted(numbers) for address, numbers in slots.items()})
    return traces is not None


async def _prestate(rpc: Rpc, own: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    try:
        rows = await rpc.call("debug_traceBlockByNumber", (own["number"], {"tracer": "prestateTracer"}))
    except AgentError:
        return None  # not offered, too slow, or its state is pruned: the replay finds out what is needed
    try:
        traces = [row["result"] for row in rows]
        return traces if all(isinstance(trace, dict) for trace in traces) else None
    except (TypeError, KeyError):
        return None


async def _read_by_replay(recorder: Recorder, store: CaptureStore, case: Case, say: Say) -> None:
    """Mine the block on a fork of the recorder: whatever it needs beyond the bulk is read on the way."""
    before = _size(store)
    recorder.start()
    header = case.header
    try:
        async with await Anvil.start(
            hardfork=case.hardfork, gas_limit=header.gas_limit, fork_url=recorder.url, fork_block=case.parent.number
        ) as anvil:
            await anvil.call("anvil_setCoinbase", to_data(header.fee_recipient))
            await anvil.call("evm_setNextBlockTimestamp", header.timestamp)
            await anvil.call("anvil_setNextBlockBaseFeePerGas", to_quantity(header.base_fee_wei))
            for transaction in case.transactions:
                if transaction.type == 3:
                    await anvil.call("anvil_impersonateAccount", to_data(transaction.sender))
            sent = await anvil.rpc.ordered([("eth_sendRawTransaction", (to_data(tx.raw),)) for tx in case.transactions])
            failures = [answer for answer in sent if isinstance(answer, RpcError)]
            await anvil.call("evm_mine")
    finally:
        await recorder.stop()
        store.flush()
    if isinstance(recorder.failure, AgentError):
        raise recorder.failure
    if failures or recorder.failure:
        raise SetupError(
            f"block {case.number} could not be replayed: {recorder.failure or failures[0]}", code="E_CAPTURE_REPLAY"
        )
    say(f"the replay asked for {_size(store) - before} more accounts and slots")


def _size(store: CaptureStore) -> int:
    return len(store.accounts) + sum(len(account.storage) for account in store.accounts.values())


async def _prove(rpc: Rpc, store: CaptureStore, parent: Mapping[str, Any], say: Say) -> bool:
    """Check every value against the parent's state root; False if the node gives no proofs for it."""
    if "synthetic" in parent:
        return False
    root, tag = to_hash(parent["stateRoot"]), parent["number"]
    requests = list(_proof_requests(store, tag))
    for start in range(0, len(requests), _PROOFS_AT_ONCE):
        part = requests[start : start + _PROOFS_AT_ONCE]
        try:
            answers = await rpc.batch([request for _, request in part])
        except RpcError:
            answers = [None]
        for (address, _), answer in zip(part, answers, strict=False):
            if not isinstance(answer, dict):
                say("the node gives no Merkle proofs for this block; the evidence is the replay alone")
                return False
            _compare(store, root, address, answer)
    for account in store.accounts.values():
        account.is_proved = True
    say(f"proved {len(store.accounts)} accounts against the parent's state root")
    return True


def _proof_requests(store: CaptureStore, tag: str) -> Iterator[tuple[Address, Request]]:
    for address in sorted(store.accounts):
        slots = sorted(store.accounts[address].storage)
        for start in range(0, max(len(slots), 1), _SLOTS_PER_PROOF):
            keys = [f"0x{slot:064x}" for slot in slots[start : start + _SLOTS_PER_PROOF]]
            yield address, ("eth_getProof", (to_data(address), keys, tag))


def _compare(store: CaptureStore, root: Hash32, address: Address, answer: Mapping[str, Any]) -> None:
    try:
        proved = verify_proof(root, address, answer)
    except ProofError as error:
        raise ProtocolError(f"the node's Merkle proof does not hold: {error}", method="eth_getProof") from None
    read = store.accounts[address]
    differs = (proved.balance_wei, proved.nonce, proved.code_hash) != (read.balance_wei, read.nonce, read.code_hash)
    if differs or any(read.storage[slot] != value for slot, value in proved.storage.items()):
        raise ProtocolError(
            f"the node answered for account 0x{address.hex()} something else than it proves",
            method="eth_getProof",
            hint="use another node; this one's state is not to be trusted",
        )


def _finish(tree: dict[str, Any], store: CaptureStore, *, is_traced: bool, is_proved: bool) -> Case:
    """Put the state into the tree; the case that it makes."""
    ancestors = {from_quantity(tree["parent"]["number"]): to_hash(tree["parent"]["hash"])} | store.block_hashes
    tree["accounts"] = store.accounts_tree()
    tree["codes"] = store.codes_tree()
    tree["block_hashes"] = {str(number): to_data(ancestors[number]) for number in sorted(ancestors)}
    proved = "each value was proved against parent.stateRoot by eth_getProof"
    replayed = "read from an archive node; evidence is that re-execution reproduces header.receiptsRoot"
    tree["complete"] = {
        "rule": "What is not listed is unknown, never zero. A listed 0x0 is a known zero.",
        "replay": "every access of an in-order execution of all transactions is present",
        "found_by": "prestate trace and replay" if is_traced else "replay",
        "state_evidence": proved if is_proved else replayed,
    }
    tree["source"] = {"tool": "mev-agent capture"}
    return case_from_tree(tree)


async def _check_by_replay(case: Case, say: Say) -> None:
    async with await CaseNode.start(case) as node:
        replay = await node.replay()
    if not replay.is_proved:
        raise SetupError(
            f"block {case.number} as captured does not replay to the header's receipts root "
            f"(0x{replay.receipts_root.hex()}); nothing was written",
            code="E_CAPTURE_UNPROVED",
            hint="the node's state may be pruned or wrong: use another archive node",
        )
    short_by_gas = sum(gas for _, gas in replay.gas_corrections)
    say("replayed to the header's receipts root" + (f", but for {short_by_gas} gas of refunds" if short_by_gas else ""))


def _address(text: str) -> Address:
    return Address(from_data(text))


__all__: Sequence[str] = ("Captured", "capture", "capture_from")
