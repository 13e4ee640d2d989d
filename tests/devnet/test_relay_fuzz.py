"""Whatever JSON a client sends, the relay answers; nothing it cannot decode is ever held."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.devnet.anvil import Anvil
from agent.devnet.builder import Builder, Ordering
from agent.devnet.mempool import Mempool
from agent.devnet.relay import Relay
from agent.eth.units import Address
from agent.sim.simulator import BlockEnv
from tests.devnet.world import KEYS, sign

ENV = BlockEnv(
    number=100,
    timestamp=1_000,
    base_fee_wei=1,
    fee_recipient=Address(bytes(20)),
    gas_limit=30_000_000,
    prev_randao=1,
)
RAW = "0x" + sign(KEYS[0], 0).raw.hex()
METHODS = ["eth_sendBundle"] * 8 + [
    "eth_cancelBundle", "eth_sendPrivateTransaction", "eth_sendPrivateRawTransaction",
    "eth_cancelPrivateTransaction", "devnet_bundleStatus", "flashbots_getUserStats", "nothing",
]  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["0x", "0x1", RAW, RAW[:-1], "0x" + "ab" * 32, "0x" + "cd" * 20, "latest"]),
)  # fmt: skip
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
names = st.sampled_from(
    [
        "txs", "tx", "txHash", "blockNumber", "maxBlockNumber", "minTimestamp", "maxTimestamp", "revertingTxHashes",
        "droppingTxHashes", "replacementUuid", "uuid", "replacementNonce", "replacementSeqNumber", "refundPercent",
        "refundRecipient", "refundTxHashes", "refundIdentity", "version", "desiredState", "builders", "surprise",
    ]
)  # fmt: skip
fields = st.dictionaries(names, values, max_size=6)
params = st.one_of(
    values, st.lists(fields, max_size=2), fields.map(lambda one: [{"txs": [RAW], "blockNumber": "0x64", **one}])
)


def relay(*, is_strict: bool) -> Relay:
    builder = Builder(cast(Anvil, None), Mempool(), ordering=Ordering.PROFIT)
    builder.next_env = ENV  # so nothing asks the node
    return Relay(builder, is_strict=is_strict, is_signature_required=False)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(METHODS), params, st.booleans(), st.one_of(st.integers(), st.text(max_size=3), st.none()))
def test_any_parameters_get_an_answer_in_one_of_the_known_shapes(
    method: str, given_params: Any, is_strict: bool, request_id: Any
) -> None:
    served = relay(is_strict=is_strict)
    body = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": given_params}).encode()
    answer = asyncio.run(served.handle(body, None))
    decoded = json.loads(answer.body)
    if answer.status == 200:
        assert decoded["id"] == request_id and ("result" in decoded) != ("error" in decoded)
    else:
        assert answer.status in (400, 403) and set(decoded) == {"error"}
    if "result" not in decoded:
        assert len(served.builder.bundles) == 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_get_an_error_with_id_null(body: bytes) -> None:
    decoded = json.loads(asyncio.run(relay(is_strict=True).handle(body, None)).body)
    assert decoded["error"]["code"] in (-32700, -32600) and decoded["id"] is None
