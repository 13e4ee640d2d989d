"""What a capture has read so far, kept on disk as it comes, so that an interrupted one goes on.

The partial file is JSON, a record a line; a torn last line (a crash while writing) is dropped. It belongs to one block
by hash, and is thrown away when the node now has another block at that height. The finished case is written beside
its place and renamed into it.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import tempfile
from pathlib import Path
from typing import Any, Self

import msgspec

from agent.errors import SetupError
from agent.eth.hexes import to_data, to_quantity
from agent.eth.keccak import EMPTY_CODE_HASH, keccak256
from agent.eth.units import Address, Hash32


class StoredAccount(msgspec.Struct):
    """An account at the parent; `storage` grows. Amounts are wei."""

    balance_wei: int
    nonce: int
    code_hash: Hash32
    storage: dict[int, int] = msgspec.field(default_factory=dict)
    is_proved: bool = False
    """By a Merkle proof; otherwise it is the node's word."""

    @property
    def is_empty(self) -> bool:
        """By EIP-161 such an account does not exist."""
        return self.balance_wei == 0 and self.nonce == 0 and self.code_hash == EMPTY_CODE_HASH


class _Record(msgspec.Struct, omit_defaults=True):
    block_hash: str = ""
    address: str = ""
    balance: str = ""
    nonce: str = ""
    code: str | None = None
    slot: str = ""
    value: str = ""
    ancestor: int = -1
    ancestor_hash: str = ""


class CaptureStore:
    """Accounts, slots, codes and block hashes, all at the parent. Open with `CaptureStore.open`."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path = path
        self._file = file
        self.accounts: dict[Address, StoredAccount] = {}
        self.codes: dict[Hash32, bytes] = {EMPTY_CODE_HASH: b""}
        self.block_hashes: dict[int, Hash32] = {}
        self.resumed = 0
        """Records found from an earlier attempt."""

    @classmethod
    def open(cls, path: Path, *, block_hash: Hash32) -> CaptureStore:
        """Take up what an earlier attempt on the same block left at `path`, or begin."""
        wanted = to_data(block_hash)
        try:
            lines = path.read_bytes().split(b"\n") if path.exists() else []
            records = []
            for line in lines:
                try:
                    records.append(msgspec.json.decode(line, type=_Record))
                except msgspec.MsgspecError:
                    break  # torn by a crash; what stands before it is whole, what follows may lean on it
            is_same = bool(records) and records[0].block_hash == wanted
            kept = records if is_same else [_Record(block_hash=wanted)]
            replacement = path.with_name(path.name + ".new")
            replacement.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in kept))
            replacement.replace(path)
            store = cls(path, path.open("ab"))
        except OSError as error:
            raise _cannot_write(path, error) from None
        for record in kept[1:]:
            store._apply(record)
        store.resumed = len(kept) - 1
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def discard(self) -> None:
        """The capture is complete: forget the partial file."""
        self.close()
        self._path.unlink(missing_ok=True)

    def add_account(self, address: Address, *, balance_wei: int, nonce: int, code: bytes) -> None:
        self._keep(
            _Record(
                address=to_data(address),
                balance=to_quantity(balance_wei),
                nonce=to_quantity(nonce),
                code=to_data(code) if keccak256(code) not in self.codes else None,
                value=to_data(keccak256(code)),
            )
        )

    def add_slot(self, address: Address, slot: int, value: int) -> None:
        """The account must be there."""
        self._keep(_Record(address=to_data(address), slot=to_quantity(slot), value=to_quantity(value)))

    def add_ancestor(self, number: int, block_hash: Hash32) -> None:
        self._keep(_Record(ancestor=number, ancestor_hash=to_data(block_hash)))

    def flush(self) -> None:
        """Hand what was added to the operating system: it survives the end of this process."""
        try:
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self._path, error) from None

    def _keep(self, record: _Record) -> None:
        try:
            self._file.write(msgspec.json.encode(record) + b"\n")
        except OSError as error:
            raise _cannot_write(self._path, error) from None
        self._apply(record)

    def _apply(self, record: _Record) -> None:
        if record.ancestor >= 0:
            self.block_hashes[record.ancestor] = Hash32(bytes.fromhex(record.ancestor_hash[2:]))
            return
        address = Address(bytes.fromhex(record.address[2:]))
        if record.slot:
            self.accounts[address].storage[int(record.slot, 16)] = int(record.value, 16)
            return
        code_hash = Hash32(bytes.fromhex(record.value[2:]))
        if record.code is not None:
            self.codes[code_hash] = bytes.fromhex(record.code[2:])
        self.accounts[address] = StoredAccount(
            balance_wei=int(record.balance, 16), nonce=int(record.nonce, 16), code_hash=code_hash
        )

    # The finished case

    def accounts_tree(self) -> dict[str, Any]:
        """The `accounts` of the case format."""
        return {to_data(address): _account_tree(self.accounts[address]) for address in sorted(self.accounts)}

    def codes_tree(self) -> dict[str, str]:
        used = {account.code_hash for account in self.accounts.values()}
        return {to_data(code_hash): to_data(self.codes[code_hash]) for code_hash in sorted(used)}


def _account_tree(account: StoredAccount) -> dict[str, Any]:
    tree: dict[str, Any] = {
        "balance": to_quantity(account.balance_wei),
        "codeHash": to_data(account.code_hash),
        "nonce": to_quantity(account.nonce),
        "storage": {to_quantity(slot): to_quantity(account.storage[slot]) for slot in sorted(account.storage)},
    }
    if account.is_empty:
        tree["proven_absent" if account.is_proved else "assumed_empty"] = True
    return tree


def write_case_file(path: Path, tree: dict[str, Any]) -> None:
    """Write a case whole or not at all; the same tree gives the same bytes. SetupError if the disk does not take it."""
    content = msgspec.json.encode(tree, order="deterministic")
    if path.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    handle = None
    try:
        handle, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        if handle is not None:
            with contextlib.suppress(OSError):
                os.unlink(name)
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> SetupError:
    return SetupError(
        f"cannot write {path}: {error.strerror or error}",
        code="E_DISK",
        hint="choose another --out, or make room; what was read so far is taken up next time",
        where=str(path),
    )
