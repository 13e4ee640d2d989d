"""Which rules a mainnet block follows, and the blob parameters that come with them.

Hard forks since Berlin, the first the fee rules here know. Up to the merge they start at a block number,
since then at a timestamp; "blob-parameter-only" forks (EIP-7892) change nothing but the blob schedule.
Source: execution-specs and the EIPs of each fork (EIP-7600, 7607, 7892).
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

MAINNET = 1

MAX_TRANSACTION_GAS = 1 << 24
"""EIP-7825, since Osaka: a transaction with a higher gas limit is invalid."""
MAX_BLOCK_RLP_BYTES = (10 - 2) * 1024 * 1024
"""EIP-7934, since Osaka: 10 MiB less a margin of 2 MiB for the beacon block."""


class Fork(IntEnum):
    """Hard forks in order, so that `fork >= Fork.CANCUN` asks for a rule."""

    BERLIN = 0
    LONDON = 1
    ARROW_GLACIER = 2
    GRAY_GLACIER = 3
    PARIS = 4
    SHANGHAI = 5
    CANCUN = 6
    PRAGUE = 7
    OSAKA = 8
    BPO1 = 9
    BPO2 = 10


class BlobSchedule(msgspec.Struct, frozen=True, gc=False):
    """How many blobs a block aims at and may hold, and how fast their fee moves."""

    target: int
    maximum: int
    update_fraction: int


_FIRST_BLOCK = {
    Fork.BERLIN: 12_244_000,
    Fork.LONDON: 12_965_000,
    Fork.ARROW_GLACIER: 13_773_000,
    Fork.GRAY_GLACIER: 15_050_000,
    Fork.PARIS: 15_537_394,
}
_FIRST_TIMESTAMP = {
    Fork.SHANGHAI: 1_681_338_455,
    Fork.CANCUN: 1_710_338_135,
    Fork.PRAGUE: 1_746_612_311,
    Fork.OSAKA: 1_764_798_551,
    Fork.BPO1: 1_765_290_071,
    Fork.BPO2: 1_767_747_671,
}

BLOB_SCHEDULES: dict[Fork, BlobSchedule] = {
    Fork.CANCUN: BlobSchedule(3, 6, 3_338_477),
    Fork.PRAGUE: BlobSchedule(6, 9, 5_007_716),
    Fork.OSAKA: BlobSchedule(6, 9, 5_007_716),
    Fork.BPO1: BlobSchedule(10, 15, 8_346_193),
    Fork.BPO2: BlobSchedule(14, 21, 11_684_671),
}


def mainnet_fork(*, block_number: int, timestamp: int) -> Fork:
    """The fork whose rules the mainnet block follows; ValueError before Berlin (April 2021)."""
    for fork in reversed(_FIRST_TIMESTAMP):
        if timestamp >= _FIRST_TIMESTAMP[fork]:
            return fork
    for fork in reversed(_FIRST_BLOCK):
        if block_number >= _FIRST_BLOCK[fork]:
            return fork
    raise ValueError(
        f"block {block_number} is older than Berlin (block {_FIRST_BLOCK[Fork.BERLIN]}), whose rules are not known here"
    )
