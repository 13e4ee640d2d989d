"""Cases: what a file holds, what can be proved about it, and what is said of a file that is none."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rlp
from eth_utils import keccak

from agent.devnet.case import Case, load_case
from agent.devnet.checks import header_hash, verify_case
from agent.errors import ConfigError
from agent.eth.units import Hash32

BLOCKS = (13217637, 15274915, 16146267, 17666333, 19426586, 19932148, 19933597, 23879620, 24628607, 24647140)
SMALL = 24647140


@pytest.fixture(scope="session")
def small_file(mainnet: Path) -> Path:
    return mainnet / "public" / f"{SMALL}.json.gz"


@pytest.fixture(scope="session")
def small(small_file: Path) -> Case:
    return load_case(small_file)


@pytest.fixture
def tree(small_file: Path) -> dict[str, Any]:
    return dict(json.loads(gzip.decompress(small_file.read_bytes())))


@pytest.mark.parametrize("block", BLOCKS)
def test_every_public_case_proves_itself(mainnet: Path, block: int) -> None:
    case = load_case(mainnet / "public" / f"{block}.json.gz")
    verify_case(case)
    assert case.number == block
    assert len(case.transactions) >= 60


_HEADER_ORDER = (
    *("parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom"),
    *("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "extraData", "mixHash", "nonce", "baseFeePerGas"),
    *("withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash"),
)
_NUMBERS = (
    *("difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas", "blobGasUsed", "excessBlobGas"),
)


def _field(text: str, *, is_number: bool) -> int | bytes:
    return int(text, 16) if is_number else bytes.fromhex(text[2:])


def test_the_header_hash_agrees_with_another_rlp(small: Case) -> None:
    header = small.header.rpc
    fields = [_field(header[name], is_number=name in _NUMBERS) for name in _HEADER_ORDER]
    assert header_hash(header) == keccak(rlp.encode(fields)) == small.header.hash


def _replace(case: Case, **changes: Any) -> Case:
    return msgspec.structs.replace(case, **changes)


def _spoilt_cases(case: Case) -> dict[str, Case]:
    header, first, second = case.header, case.transactions[0], case.transactions[1]
    some_hash, some_code = next((h, c) for h, c in case.codes.items() if c)
    swapped = (
        msgspec.structs.replace(second, index=0),
        msgspec.structs.replace(first, index=1),
        *case.transactions[2:],
    )
    foreign_sender = msgspec.structs.replace(first, sender=second.sender)
    other_nonce = msgspec.structs.replace(first, nonce=first.nonce + 1)
    assert case.withdrawals is not None
    return {
        "does not hash to header.hash": _replace(
            case, header=msgspec.structs.replace(header, rpc=header.rpc | {"gasUsed": "0x1"})
        ),
        "not the header's parent": _replace(case, parent=msgspec.structs.replace(case.parent, hash=Hash32(b"\1" * 32))),
        "do not give header.transactionsRoot": _replace(case, transactions=swapped),
        "was not signed by its sender": _replace(case, transactions=(foreign_sender, *case.transactions[1:])),
        "something else than its raw bytes": _replace(case, transactions=(other_nonce, *case.transactions[1:])),
        "has another hash": _replace(case, codes=case.codes | {some_hash: some_code[:-1]}),
        "do not give header.withdrawalsRoot": _replace(case, withdrawals=case.withdrawals[1:]),
    }


@pytest.mark.parametrize(
    "finding",
    [
        "does not hash to header.hash",
        "not the header's parent",
        "do not give header.transactionsRoot",
        "was not signed by its sender",
        "something else than its raw bytes",
        "has another hash",
        "do not give header.withdrawalsRoot",
    ],
)
def test_each_contradiction_is_found(small: Case, finding: str) -> None:
    with pytest.raises(ConfigError, match=finding):
        verify_case(_spoilt_cases(small)[finding])


def test_a_truncated_file_is_named_and_nothing_else_is_raised(small_file: Path, tmp_path: Path) -> None:
    packed = small_file.read_bytes()
    for size in (0, 1, 2, 10, len(packed) // 2, len(packed) - 1):
        cut = tmp_path / f"cut-{size}.json.gz"
        cut.write_bytes(packed[:size])
        with pytest.raises(ConfigError, match=f"cut-{size}"):
            load_case(cut)


def test_a_garbled_byte_anywhere_is_an_error_of_ours(small_file: Path, tmp_path: Path) -> None:
    packed = bytearray(small_file.read_bytes())
    garbled = tmp_path / "garbled.json.gz"
    for at in range(64, len(packed), len(packed) // 23):  # before: the name in the gzip header, which says nothing
        copy = bytearray(packed)
        copy[at] ^= 0xFF
        garbled.write_bytes(copy)
        with pytest.raises(ConfigError, match="garbled"):
            load_case(garbled)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>502</html>", "is not JSON"),
        (b"[1, 2]", "is not a case"),
        (b'{"format": "other/1"}', "other/1"),
        (b'{"format": "mainnet-capture/1"}', "lacks the field"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_foreign_file_gets_one_clear_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "foreign.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_case(file)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("header", "number"), "five"),
        (("header", "baseFeePerGas"), None),
        (("header", "miner"), "0x12"),
        (("accounts",), []),
        (("transactions",), [{}]),
        (("transactions",), 7),
        (("codes",), {"0x00": "0x00"}),
        (("block_hashes",), {"x": "0x"}),
        (("chain_id",), {}),
        (("fork",), "frontier"),
    ],
)
def test_a_malformed_field_is_an_error_of_ours(
    tree: dict[str, Any], tmp_path: Path, where: tuple[str, ...], value: Any
) -> None:
    inner = tree
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] = value
    file = tmp_path / "malformed.json"
    file.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match=r"malformed\.json"):
        load_case(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_case(tmp_path / "none.json.gz")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_case(tmp_path)


def test_leaving_out_a_transaction_takes_the_later_ones_of_its_sender(small: Case) -> None:
    by_sender: dict[bytes, list[int]] = {}
    for transaction in small.transactions:
        by_sender.setdefault(transaction.sender, []).append(transaction.index)
    several = next(indices for indices in by_sender.values() if len(indices) > 1)
    first = small.transactions[several[0]]
    assert [tx.index for tx in small.with_later_of_same_sender(frozenset({first.hash}))] == several
    last = small.transactions[several[-1]]
    assert [tx.index for tx in small.with_later_of_same_sender(frozenset({last.hash}))] == several[-1:]


def test_leaving_out_a_foreign_transaction_is_refused(small: Case) -> None:
    with pytest.raises(ConfigError, match="does not hold transaction"):
        small.with_later_of_same_sender(frozenset({Hash32(b"\7" * 32)}))
