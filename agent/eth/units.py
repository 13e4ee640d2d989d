"""The units of the chain as types; they cost nothing at run time.

Addresses and hashes are `bytes` inside the program and text only at its edges (`hexes`).
"""

from __future__ import annotations

from typing import NewType

Address = NewType("Address", bytes)
"""20 bytes."""
Hash32 = NewType("Hash32", bytes)
"""32 bytes: a transaction, block, code or state hash."""
Wei = NewType("Wei", int)
Gas = NewType("Gas", int)
BlockNumber = NewType("BlockNumber", int)

ZERO_ADDRESS = Address(bytes(20))
WEI_PER_GWEI = 10**9
WEI_PER_ETHER = 10**18
UINT256_MAX = 2**256 - 1
SLOT_S = 12
"""Seconds between two slots of mainnet (consensus specification, SECONDS_PER_SLOT)."""
