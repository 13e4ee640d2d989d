"""Throw-away keys of the devnet: functions of a name and a seed, so that every run has the same ones.

They are public by construction. Nothing here may be loaded where a real chain can be reached: live mode never imports
this module.
"""

from __future__ import annotations

import msgspec

from agent.eth.keccak import keccak256
from agent.eth.keys import Signer
from agent.eth.units import Address

OPERATORS = 16


def throwaway_secret(name: str, *, seed: int = 0) -> bytes:
    """The 32 bytes of that key, for people who sign with tools of their own; worth nothing, as anybody has them."""
    return bytes(keccak256(f"mev-agent devnet {seed} {name}".encode()))


def throwaway_key(name: str, *, seed: int = 0) -> Signer:
    """The devnet key of that name; anybody can compute it."""
    return Signer(throwaway_secret(name, seed=seed))


def fresh_address(name: str, *, seed: int = 0) -> Address:
    """An address without a key that no chain has ever seen."""
    return Address(keccak256(f"mev-agent devnet address {seed} {name}".encode())[12:])


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """Who we are in a devnet. `probe` asks questions and holds nothing."""

    owner: Signer
    guardian: Signer
    operators: tuple[Signer, ...]
    relay: Signer
    vault: Address
    executor: Address
    probe: Address

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All of ours."""
        keys = (self.owner, self.guardian, *self.operators, self.relay)
        return (*(key.address for key in keys), self.vault, self.executor, self.probe)


def devnet_identities(*, seed: int = 0) -> Identities:
    """The whole cast for one seed."""
    return Identities(
        owner=throwaway_key("owner", seed=seed),
        guardian=throwaway_key("guardian", seed=seed),
        operators=tuple(throwaway_key(f"operator {index}", seed=seed) for index in range(OPERATORS)),
        relay=throwaway_key("relay", seed=seed),
        vault=fresh_address("vault", seed=seed),
        executor=fresh_address("executor", seed=seed),
        probe=fresh_address("probe", seed=seed),
    )
