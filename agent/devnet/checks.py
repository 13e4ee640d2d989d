"""What can be proved about a case without executing it: its hashes, its roots, its signatures.

A case that passes is the block that its header's hash names, with that block's transactions and real senders. State
is proved elsewhere: by replaying to the receipts root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.devnet.case import Case
from agent.errors import ConfigError
from agent.eth import rlp
from agent.eth.hexes import from_data, from_quantity
from agent.eth.keccak import keccak256
from agent.eth.transactions import decode_transaction
from agent.eth.trie import ordered_root
from agent.eth.units import Hash32

_HEADER_BYTES = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom",
)  # fmt: skip
_HEADER_NUMBERS = ("difficulty", "number", "gasLimit", "gasUsed", "timestamp")
# Added by London, Shanghai, Cancun (three), Prague, in this order; a fork has a prefix of them.
_HEADER_LATER = (
    ("baseFeePerGas", True),
    ("withdrawalsRoot", False),
    ("blobGasUsed", True),
    ("excessBlobGas", True),
    ("parentBeaconBlockRoot", False),
    ("requestsHash", False),
)
_FINDINGS_SHOWN = 5


def header_hash(header: Mapping[str, Any]) -> Hash32:
    """keccak of the RLP of a header as JSON-RPC shows it; KeyError or ValueError where it is no header."""
    parts = [rlp.encode_bytes(from_data(header[name])) for name in _HEADER_BYTES]
    parts += [rlp.encode_int(from_quantity(header[name])) for name in _HEADER_NUMBERS]
    parts += [rlp.encode_bytes(from_data(header[name])) for name in ("extraData", "mixHash", "nonce")]
    for name, is_number in _HEADER_LATER:
        if name not in header:
            break
        value = header[name]
        parts.append(rlp.encode_int(from_quantity(value)) if is_number else rlp.encode_bytes(from_data(value)))
    return keccak256(rlp.encode_list(parts))


def withdrawals_root(withdrawals: tuple[Mapping[str, Any], ...]) -> Hash32:
    """Root of the withdrawals as JSON-RPC shows them (EIP-4895)."""
    return ordered_root(
        rlp.encode_list(
            [
                rlp.encode_int(from_quantity(row["index"])),
                rlp.encode_int(from_quantity(row["validatorIndex"])),
                rlp.encode_bytes(from_data(row["address"])),
                rlp.encode_int(from_quantity(row["amount"])),
            ]
        )
        for row in withdrawals
    )


def verify_case(case: Case, *, path: Path | str = "") -> None:
    """Raise ConfigError that lists what does not hold; return when everything does."""
    try:
        findings = list(_findings(case))
    except (KeyError, ValueError, TypeError) as error:
        findings = [f"a field is missing or malformed: {str(error)[:120]}"]
    if not findings:
        return
    shown = "; ".join(findings[:_FINDINGS_SHOWN])
    more = f"; and {len(findings) - _FINDINGS_SHOWN} more" if len(findings) > _FINDINGS_SHOWN else ""
    raise ConfigError(
        f"case of block {case.number} contradicts itself: {shown}{more}",
        code="E_CASE",
        hint="fetch the file again, or capture the block: mev-agent capture BLOCK --rpc-url U --out F",
        where=str(path),
    )


def _findings(case: Case) -> Iterator[str]:
    header, parent = case.header, case.parent
    if header_hash(header.rpc) != header.hash:
        yield "the header does not hash to header.hash"
    if parent.hash != header.parent_hash or parent.number != header.number - 1:
        yield "the parent is not the header's parent"
    if not parent.is_synthetic and header_hash(parent.rpc) != parent.hash:
        yield "the parent's header does not hash to parent.hash"
    if ordered_root(transaction.raw for transaction in case.transactions) != header.transactions_root:
        yield "the transactions do not give header.transactionsRoot"
    yield from _transaction_findings(case)
    for code_hash, code in case.codes.items():
        if keccak256(code) != code_hash:
            yield f"code 0x{code_hash.hex()} has another hash"
    if "withdrawalsRoot" in header.rpc and (
        case.withdrawals is None or withdrawals_root(case.withdrawals) != from_data(header.rpc["withdrawalsRoot"])
    ):
        yield "the withdrawals do not give header.withdrawalsRoot"
    known = case.block_hashes.get(parent.number, parent.hash)
    if known != parent.hash:
        yield "block_hashes names another parent"


def _transaction_findings(case: Case) -> Iterator[str]:
    for transaction in case.transactions:
        decoded = decode_transaction(transaction.raw)
        if keccak256(transaction.raw) != transaction.hash:
            yield f"transaction {transaction.index} has another hash"
        if decoded.sender != transaction.sender:
            yield f"transaction {transaction.index} was not signed by its sender"
        stated = (transaction.nonce, transaction.to, transaction.type, transaction.gas_limit)
        if stated != (decoded.nonce, decoded.to, decoded.type, decoded.gas):
            yield f"transaction {transaction.index} says something else than its raw bytes"
