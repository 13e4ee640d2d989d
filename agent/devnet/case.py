"""A case: one archived block, its transactions, and all state that they touch at the end of the block before.

The file is gzipped JSON, `format: mainnet-capture/1`; plain JSON is read too. What a case does not list is
*unknown*, never zero: an absent account or slot stays absent here, and the archive answers it with an error.
A listed zero is a known zero. Amounts are wei; slots, values and addresses are integers and bytes, never text.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import msgspec

from agent.errors import ConfigError
from agent.eth.hexes import from_data, from_quantity
from agent.eth.units import Address, Hash32

CASE_FORMAT = "mainnet-capture/1"
CASE_BYTES_MAX = 512 * 1024 * 1024
"""Unpacked; the largest real one is 6 MB. Stops a file that unpacks without end."""

HARDFORK_BY_FORK = {
    "london": "london",
    "arrowglacier": "london",
    "grayglacier": "london",
    "paris": "paris",
    "shanghai": "shanghai",
    "cancun": "cancun",
    "prague": "prague",
    "osaka": "osaka",
}
"""A case's fork to the name anvil takes; the glaciers only moved the difficulty bomb, and anvil rejects their names."""


class CaseHeader(msgspec.Struct, frozen=True):
    """The consensus fields that the program computes with; `rpc` holds every field as JSON-RPC shows it."""

    number: int
    hash: Hash32
    parent_hash: Hash32
    timestamp: int
    base_fee_wei: int
    gas_limit: int
    gas_used: int
    fee_recipient: Address
    difficulty: int
    mix_hash: Hash32
    receipts_root: Hash32
    transactions_root: Hash32
    rpc: dict[str, Any]

    @property
    def is_synthetic(self) -> bool:
        """Only number and hash are mainnet's; the source had no such header."""
        return "synthetic" in self.rpc


class CaseTransaction(msgspec.Struct, frozen=True):
    """A transaction of the block; `raw` is its canonical form (blob transactions without their sidecar)."""

    index: int
    hash: Hash32
    raw: bytes
    sender: Address
    to: Address | None
    nonce: int
    type: int
    gas_limit: int
    rpc: dict[str, Any]


class CaseAccount(msgspec.Struct, frozen=True):
    """An account at the end of the parent block. `storage` holds only the slots that are known."""

    balance_wei: int
    nonce: int
    code_hash: Hash32
    storage: dict[int, int]
    is_absent: bool = False
    """Proved, or taken for good reason, not to exist at all: not the same as existing and empty."""


class Case(msgspec.Struct, frozen=True):
    """One block with the state it touches. Values are as in the file; `verify_case` proves what can be proved."""

    chain_id: int
    fork: str
    header: CaseHeader
    parent: CaseHeader
    transactions: tuple[CaseTransaction, ...]
    accounts: dict[Address, CaseAccount]
    codes: dict[Hash32, bytes]
    block_hashes: dict[int, Hash32]
    withdrawals: tuple[dict[str, Any], ...] | None
    complete: dict[str, Any]
    source: dict[str, Any]

    @property
    def number(self) -> int:
        return self.header.number

    @property
    def hardfork(self) -> str:
        """The name of the case's rules as anvil spells it."""
        return HARDFORK_BY_FORK[_fork_word(self.fork)]

    def code_of(self, address: Address) -> bytes | None:
        """Code of a known account (empty for one without), None if the account or its code is unknown."""
        account = self.accounts.get(address)
        return None if account is None else self.codes.get(account.code_hash)

    def with_later_of_same_sender(self, transaction_hashes: frozenset[Hash32]) -> tuple[CaseTransaction, ...]:
        """The named transactions and, since their nonces depend on these, all later ones of the same senders.

        Raises ConfigError for a hash that is not in the block.
        """
        known = {transaction.hash for transaction in self.transactions}
        if foreign := sorted(transaction_hashes - known):
            raise ConfigError(
                f"block {self.number} does not hold transaction 0x{foreign[0].hex()}", hint="give a hash from this case"
            )
        senders: set[Address] = set()
        taken = []
        for transaction in self.transactions:
            if transaction.hash in transaction_hashes or transaction.sender in senders:
                senders.add(transaction.sender)
                taken.append(transaction)
        return tuple(taken)


def load_case(path: Path | str) -> Case:
    """Read a case file. Raises ConfigError, naming the file and what is wrong with it, for anything else."""
    path = Path(path)
    tree = _read_json(path)
    if not isinstance(tree, dict) or tree.get("format") != CASE_FORMAT:
        shown = tree.get("format") if isinstance(tree, dict) else type(tree).__name__
        raise _bad(path, f"is not a case: its format is {str(shown)[:40]!r}, expected {CASE_FORMAT!r}")
    try:
        case = case_from_tree(tree)
    except KeyError as error:
        raise _bad(path, f"lacks the field {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise _bad(path, f"holds a malformed value: {str(error)[:200]}") from None
    if _fork_word(case.fork) not in HARDFORK_BY_FORK:
        known = "known: " + ", ".join(HARDFORK_BY_FORK)
        raise _bad(path, f"is of fork {case.fork[:40]!r}, whose rules are unknown here", known)
    return case


def case_from_tree(tree: dict[str, Any]) -> Case:
    """The case of a decoded file; KeyError, ValueError or TypeError where the file breaks its format."""
    return Case(
        chain_id=int(tree["chain_id"]),
        fork=str(tree["fork"]),
        header=_header(tree["header"]),
        parent=_header(tree["parent"]),
        transactions=tuple(_transaction(index, row) for index, row in enumerate(tree["transactions"])),
        accounts={_address(address): _account(row) for address, row in tree["accounts"].items()},
        codes={_hash(code_hash): from_data(code) for code_hash, code in tree["codes"].items()},
        block_hashes={int(number): _hash(value) for number, value in tree["block_hashes"].items()},
        withdrawals=None if tree.get("withdrawals") is None else tuple(dict(row) for row in tree["withdrawals"]),
        complete=dict(tree.get("complete") or {}),
        source=dict(tree.get("source") or {}),
    )


def _read_json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if packed else file
            content = stream.read(CASE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise _bad(path, "does not exist") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _bad(path, f"is truncated or damaged ({error})") from None
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from None
    if len(content) > CASE_BYTES_MAX:
        raise _bad(path, f"unpacks to more than {CASE_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(path, f"is not JSON or is truncated ({str(error)[:120]})") from None


_AGAIN = "fetch the file again, or capture the block: mev-agent capture BLOCK --rpc-url U --out F"


def _bad(path: Path, problem: str, hint: str = _AGAIN) -> ConfigError:
    return ConfigError(f"case file {path} {problem}", code="E_CASE", hint=hint, where=str(path))


def _header(row: dict[str, Any]) -> CaseHeader:
    return CaseHeader(
        number=from_quantity(row["number"]),
        hash=_hash(row["hash"]),
        parent_hash=_hash(row["parentHash"]),
        timestamp=from_quantity(row["timestamp"]),
        base_fee_wei=from_quantity(row["baseFeePerGas"]),
        gas_limit=from_quantity(row["gasLimit"]),
        gas_used=from_quantity(row["gasUsed"]),
        fee_recipient=_address(row["miner"]),
        difficulty=from_quantity(row["difficulty"]),
        mix_hash=_hash(row["mixHash"]),
        receipts_root=_hash(row["receiptsRoot"]),
        transactions_root=_hash(row["transactionsRoot"]),
        rpc=row,
    )


def _transaction(index: int, row: dict[str, Any]) -> CaseTransaction:
    return CaseTransaction(
        index=index,
        hash=_hash(row["hash"]),
        raw=from_data(row["rlp"]),
        sender=_address(row["from"]),
        to=None if row.get("to") is None else _address(row["to"]),
        nonce=from_quantity(row["nonce"]),
        type=from_quantity(row.get("type", "0x0")),
        gas_limit=from_quantity(row["gas"]),
        rpc=row,
    )


def _account(row: dict[str, Any]) -> CaseAccount:
    return CaseAccount(
        balance_wei=from_quantity(row["balance"]),
        nonce=from_quantity(row["nonce"]),
        code_hash=_hash(row["codeHash"]),
        storage={from_quantity(slot): from_quantity(value) for slot, value in row["storage"].items()},
        is_absent=bool(row.get("proven_absent") or row.get("assumed_empty")),
    )


def _address(text: str) -> Address:
    """20 bytes; checksums are not checked, case files are lower case."""
    raw = from_data(text)
    if len(raw) != 20:
        raise ValueError(f"an address has 20 bytes: {text[:80]!r}")
    return Address(raw)


def _hash(text: str) -> Hash32:
    raw = from_data(text)
    if len(raw) != 32:
        raise ValueError(f"a hash has 32 bytes: {text[:80]!r}")
    return Hash32(raw)


def _fork_word(fork: str) -> str:
    """`osaka(bpo2)` is Osaka's rules with another blob schedule."""
    return fork.partition("(")[0].replace("-", "").replace("_", "").lower()
