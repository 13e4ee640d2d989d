"""Merkle proofs of accounts and slots against a state root: what a node says about state, made checkable.

Source: Yellow Paper appendix D, EIP-1186 (`eth_getProof`). A proof of absence is a path that ends elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.eth import rlp
from agent.eth.hexes import from_data, from_quantity
from agent.eth.keccak import EMPTY_CODE_HASH, keccak256
from agent.eth.trie import EMPTY_ROOT
from agent.eth.units import Address, Hash32


class ProofError(ValueError):
    """The nodes do not prove what they are said to prove."""


class ProvedAccount(msgspec.Struct, frozen=True):
    """An account as the state root has it; `is_absent` means that it does not exist."""

    balance_wei: int
    nonce: int
    code_hash: Hash32
    is_absent: bool
    storage: dict[int, int]


def verify_proof(state_root: Hash32, address: Address, answer: Mapping[str, Any]) -> ProvedAccount:
    """What an `eth_getProof` answer proves about `address`; ProofError if it proves nothing.

    Only proved values are returned; what the answer merely states must agree with them.
    """
    try:
        leaf = prove(state_root, keccak256(address), [from_data(node) for node in answer["accountProof"]])
        if leaf is None:
            account = ProvedAccount(0, 0, EMPTY_CODE_HASH, is_absent=True, storage={})
            storage_root = EMPTY_ROOT
        else:
            fields = rlp.decode_list(leaf)
            if len(fields) != 4:
                raise ProofError("the proved value is not an account")
            storage_root = Hash32(rlp.as_fixed(fields[2], 32))
            account = ProvedAccount(
                balance_wei=rlp.as_int(fields[1]),
                nonce=rlp.as_int(fields[0]),
                code_hash=Hash32(rlp.as_fixed(fields[3], 32)),
                is_absent=False,
                storage={},
            )
        for row in answer["storageProof"]:
            slot = from_quantity(row["key"])
            key = keccak256(slot.to_bytes(32, "big"))
            value = prove(storage_root, key, [from_data(node) for node in row["proof"]])
            account.storage[slot] = 0 if value is None else int.from_bytes(rlp.as_bytes(rlp.decode(value)), "big")
            if from_quantity(row["value"]) != account.storage[slot]:
                raise ProofError(f"slot {slot:#x} is stated and proved differently")
        if (from_quantity(answer["balance"]), from_quantity(answer["nonce"])) != (account.balance_wei, account.nonce):
            raise ProofError("the account is stated and proved differently")
    except (KeyError, TypeError, AttributeError, rlp.RlpError) as error:
        raise ProofError(f"malformed proof of 0x{address.hex()}: {str(error)[:120]}") from error
    except ProofError as error:
        raise ProofError(f"account 0x{address.hex()}: {error}") from error
    return account


def prove(root: Hash32, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """The value that the trie `root` has at `key` (already hashed), None if it proves that there is none."""
    if root == EMPTY_ROOT and (not nodes or nodes == [b"\x80"]):
        return None
    path = "".join(f"{byte:02x}" for byte in key)
    wanted: rlp.Decoded = root
    remaining = list(nodes)
    while True:
        if isinstance(wanted, list):
            node = wanted  # a node below 32 bytes stands in its parent
        else:
            if not remaining:
                raise ProofError("the proof ends too early")
            encoded = remaining.pop(0)
            if keccak256(encoded) != wanted:
                raise ProofError("a node does not hash to its reference")
            node = rlp.decode_list(encoded)
        if len(node) == 17:
            if not path:
                raise ProofError("a key ends in a branch")
            child = node[int(path[0], 16)]
            path = path[1:]
        elif len(node) == 2:
            prefix, is_leaf = _decode_path(rlp.as_bytes(node[0]))
            if is_leaf:
                return rlp.as_bytes(node[1]) if path == prefix else None
            if not path.startswith(prefix):
                return None
            path = path[len(prefix) :]
            child = node[1]
        else:
            raise ProofError("a node with a wrong number of items")
        if child == b"":
            return None
        wanted = child


def _decode_path(encoded: bytes) -> tuple[str, bool]:
    """Nibbles as hex digits of a hex-prefix encoding, and whether they lead to a leaf."""
    if not encoded or encoded[0] >> 4 > 3:
        raise ProofError("a path with a wrong prefix")
    digits = encoded.hex()
    flag = encoded[0] >> 4
    return (digits[1:] if flag & 1 else digits[2:]), flag >= 2
