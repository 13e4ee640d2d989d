"""From a decision to signed bytes: transaction, bundle body and relay header.

Against what eth_account and json take for the same bytes, and against two bare curve signatures, which nobody
can go below. Run with `python -m benchmarks.signing`; prints JSON.
"""

from __future__ import annotations

import json
import statistics

from coincurve import PrivateKey

from agent.eth.hexes import address_text
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer
from agent.eth.units import Address
from agent.venues.onchain.bundle import BodyTemplate, Bundle, replacement_uuid
from agent.venues.onchain.endpoints import TITAN
from agent.venues.onchain.signer import RelaySigner, TransactionTemplate
from benchmarks.naive.signing import NaiveSender
from benchmarks.rounds import medians_ns, row

TRADING_KEY = bytes([0x46]) * 32
RELAY_KEY = bytes([0x01]) * 32
EXECUTOR = Address(bytes([0x35]) * 20)
CALLDATA = bytes(range(256)) + bytes(range(164))
"""420 bytes: a route of five pools."""
UUID = replacement_uuid(b"benchmark")
FEES = {"nonce": 41, "max_priority_fee_wei": 2 * 10**9, "max_fee_wei": 40 * 10**9, "gas": 350_000, "data": CALLDATA}
BLOCK_NUMBER = 24_000_001
SEQUENCE = 1_800_000_000_000_000

GATE_AGAINST_NAIVE = 7.0
GATE_AGAINST_BARE = 1.6
CALLS = {"naive": 60, "ours": 400, "bare": 400}


def run() -> dict[str, object]:
    """Figures of the three, in nanoseconds, and the two ratios with their gates."""
    signer = TransactionTemplate(Signer(TRADING_KEY), chain_id=1, to=EXECUTOR)
    relay = RelaySigner(Signer(RELAY_KEY))
    target = signer.sign(nonce=0, max_priority_fee_wei=1, max_fee_wei=10**10, gas=200_000, data=CALLDATA[:260]).raw
    first = Bundle(transactions=(target, target), block_number=1, replacement_uuid=UUID, sequence=1)
    template = BodyTemplate(first, TITAN)
    naive_sender = NaiveSender(TRADING_KEY, RELAY_KEY, to=address_text(EXECUTOR), chain_id=1)
    target_text = "0x" + target.hex()

    def ours() -> tuple[bytes, bytes, str]:
        raw = signer.sign(**FEES).raw  # type: ignore[arg-type]
        body = template.fill((target, raw), block_number=BLOCK_NUMBER, sequence=SEQUENCE)
        return raw, body, relay.header(body)

    def naive() -> tuple[bytes, bytes, str]:
        return naive_sender.submission(
            target=target_text,
            block_number=BLOCK_NUMBER,
            replacement_uuid=UUID,
            sequence=SEQUENCE,
            **FEES,  # type: ignore[arg-type]
        )

    one, other, digest = PrivateKey(TRADING_KEY), PrivateKey(RELAY_KEY), keccak256(b"digest")

    def bare() -> None:
        one.sign_recoverable(digest, hasher=None)
        other.sign_recoverable(digest, hasher=None)

    if ours() != naive():
        raise AssertionError("both sides must make the same bytes before they are timed")
    figures = medians_ns({"naive": naive, "ours": ours, "bare": bare}, calls=CALLS)
    return {
        "name": "signing",
        "median_ns": {name: round(statistics.median(rounds)) for name, rounds in figures.items()},
        "rows": [
            row("P5", "transaction, body and header: eth_account and json / ours", figures, "naive", "ours",
                gate=GATE_AGAINST_NAIVE),
            row("P6", "the same: ours / two bare signatures", figures, "ours", "bare",
                gate=GATE_AGAINST_BARE, is_limit=True),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
