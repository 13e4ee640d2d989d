"""What is known about an address that never existed: nothing is kept under its key, in any contract.

A fresh address is derived by a hash and was never used on the chain, so every mapping entry keyed by it is zero. The
keys that contracts use are enumerated: Solidity's keccak(key ‖ slot), Vyper's keccak(slot ‖ key), one more level of
either (allowances, in both roles, against every account of the case), OpenZeppelin's namespaced ERC-20 storage, and
Solady's balance and allowance seeds (solady src/tokens/ERC20.sol). A slot that none of them gives stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.eth.keccak import keccak256
from agent.eth.units import Address

DIRECT_SLOTS = 320
"""Base slots tried for plain mappings: upgradeable tokens keep gaps of 50 before theirs, several times over."""
NESTED_SLOTS = 64
CREATED_CONTRACTS = 8
"""Contracts that a fresh address may create, nonce 0 and up: as fresh as itself."""

_ERC7201_ERC20 = 0x52C63247E1F47DB19D5CE0460030C497F067CA4CEBF71BA98EEADABE20BACE00
_SOLADY_BALANCE_SEED = 0x87A211A2
_SOLADY_ALLOWANCE_SEED = 0x7F5E9F20
_BASES_NAMESPACED = (_ERC7201_ERC20, _ERC7201_ERC20 + 1)


class FreshAddresses:
    """A set of addresses of ours, and the mapping keys that belong to them. Thread-safe by replacement."""

    def __init__(self, *, known_addresses: Iterable[Address]) -> None:
        self._known = tuple(known_addresses)
        self._fresh: frozenset[Address] = frozenset()
        self._holders: frozenset[Address] = frozenset()
        self._direct: frozenset[int] = frozenset()
        self._nested: frozenset[int] | None = frozenset()

    def declare(self, addresses: Iterable[Address], *, holders: Iterable[Address] | None = None) -> None:
        """Take these as fresh, and the contracts they may create.

        Two-level keys (allowances) are known of `holders` alone, by default all of them: an account that never touches
        a token needs none, and they are some fifty thousand hashes for each holder.
        """
        added = set(addresses)
        self._holders |= added if holders is None else set(holders)
        for address in tuple(added):
            added |= {create_address(address, nonce) for nonce in range(CREATED_CONTRACTS)}
        if not added - self._fresh:
            return
        self._fresh |= added
        self._direct = frozenset(key for address in self._fresh for key in _direct_keys(address))
        self._nested = None

    def is_fresh(self, address: Address) -> bool:
        return address in self._fresh

    def is_keyed(self, slot: int) -> bool:
        """Whether `slot` is a mapping entry of a fresh address. The second level is computed when first needed."""
        if not self._fresh:
            return False
        if slot in self._direct:
            return True
        if self._nested is None:
            self._nested = frozenset(self._nested_keys())
        return slot in self._nested

    def _nested_keys(self) -> Iterable[int]:
        others = {*self._known, *self._fresh}
        for address in self._holders:
            yield from _nested_keys_of(address, others)


def create_address(creator: Address, nonce: int) -> Address:
    """Address of the contract that `creator` makes with its transaction `nonce` (CREATE), nonce below 128."""
    if not 0 <= nonce < 128:
        raise ValueError(f"nonce {nonce} not in 0..127")
    encoded = b"\xd6\x94" + creator + (b"\x80" if nonce == 0 else bytes((nonce,)))
    return Address(keccak256(encoded)[12:])


def _direct_keys(address: Address) -> Iterable[int]:
    key = address.rjust(32, b"\0")
    for base in (*range(DIRECT_SLOTS), *_BASES_NAMESPACED):
        slot = base.to_bytes(32, "big")
        yield int.from_bytes(keccak256(key + slot), "big")
        yield int.from_bytes(keccak256(slot + key), "big")
    yield int.from_bytes(keccak256(address + _SOLADY_BALANCE_SEED.to_bytes(12, "big")), "big")


def _nested_keys_of(address: Address, others: Iterable[Address]) -> Iterable[int]:
    key = address.rjust(32, b"\0")
    keys_of_others = [(other, other.rjust(32, b"\0")) for other in others]
    bases = [base.to_bytes(32, "big") for base in (*range(NESTED_SLOTS), *_BASES_NAMESPACED)]
    ours = [(keccak256(key + base), keccak256(base + key)) for base in bases]
    for solidity, vyper in ours:  # mapping[ours][other]
        for _, other in keys_of_others:
            yield int.from_bytes(keccak256(other + solidity), "big")
            yield int.from_bytes(keccak256(vyper + other), "big")
    for base in bases:  # mapping[other][ours]
        for _, other in keys_of_others:
            yield int.from_bytes(keccak256(key + keccak256(other + base)), "big")
            yield int.from_bytes(keccak256(keccak256(base + other) + key), "big")
    seed = _SOLADY_ALLOWANCE_SEED.to_bytes(12, "big")
    for other, _ in keys_of_others:
        yield int.from_bytes(keccak256(address + (_SOLADY_ALLOWANCE_SEED).to_bytes(8, "big") + other), "big")
        yield int.from_bytes(keccak256(address + seed + other), "big")
        yield int.from_bytes(keccak256(other + seed + address), "big")
