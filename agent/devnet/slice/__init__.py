"""The built-in piece of mainnet: canonical contracts, real addresses, state from a table, seeded users."""

from agent.devnet.slice.describe import PoolRow, describe
from agent.devnet.slice.figures import BASE_FEE_WEI, GAS_LIMIT
from agent.devnet.slice.planting import ANVIL_FLAGS, build_slice
from agent.devnet.slice.records import pool_records
from agent.devnet.slice.traffic import Traffic
from agent.devnet.slice.world import CHAIN_ID, CONTRACTS, HARDFORK, Slice, SlicePool, SliceToken, SliceUser

__all__ = [
    "ANVIL_FLAGS",
    "BASE_FEE_WEI",
    "CHAIN_ID",
    "CONTRACTS",
    "GAS_LIMIT",
    "HARDFORK",
    "PoolRow",
    "Slice",
    "SlicePool",
    "SliceToken",
    "SliceUser",
    "Traffic",
    "build_slice",
    "describe",
    "pool_records",
]
