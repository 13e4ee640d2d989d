"""Every executed V2 quote of the vectors: seven fees, reserves from 1 to the top."""

from __future__ import annotations

import json
from pathlib import Path

from agent.dex.pool import Completeness
from agent.dex.v2 import MAX_RESERVE, PIPS, V2Pool, is_accepted, router_amount_in
from agent.eth.units import Address

TOKEN0 = Address(b"\x01" * 20)
TOKEN1 = Address(b"\x02" * 20)


def test_quotes_are_the_most_the_pair_accepts(vectors: Path) -> None:
    rows = json.loads((vectors / "dex" / "v2_quotes.json").read_text())["vectors"]
    assert len(rows) == 477
    for row in rows:
        pool = V2Pool(
            address=Address(b"\x03" * 20),
            token0=TOKEN0,
            token1=TOKEN1,
            fee_pips=PIPS - row["feeNum"] * PIPS // row["feeDen"],
            reserve0=int(row["reserve0"]),
            reserve1=int(row["reserve1"]),
        )
        zero_for_one = row["zeroForOne"]
        reserve_in = pool.reserve0 if zero_for_one else pool.reserve1
        fits = reserve_in + int(row["amountIn"] if row["kind"] == "exactIn" else row["amountInMin"]) <= MAX_RESERVE
        assert fits or row["pair"] != "ok"
        token_in = TOKEN0 if zero_for_one else TOKEN1
        if row["kind"] == "exactIn":
            quote = pool.quote_exact_in(token_in, int(row["amountIn"]))
            if fits:
                assert (quote.amount_in, quote.amount_out) == (int(row["amountIn"]), int(row["amountOut"])), row
        else:
            quote = pool.quote_exact_out(token_in, int(row["amountOut"]))
            if fits:
                assert (quote.amount_in, quote.amount_out) == (int(row["amountInMin"]), int(row["amountOut"])), row
            reserve_in, reserve_out = pool.reserves(token_in)
            router = router_amount_in(int(row["amountOut"]), reserve_in, reserve_out, pool.fee_n, pool.fee_d)
            assert router == int(row["amountInRouter"]), row
        assert (quote.completeness is Completeness.COMPLETE) == fits, row
        if row["pair"] == "ok":
            for extra, accepted in ((0, True), (1, False)):
                out = quote.amount_out + extra
                sides = (quote.amount_in, 0, -out) if zero_for_one else (0, quote.amount_in, -out)
                balance0 = pool.reserve0 + (sides[0] if zero_for_one else -out)
                balance1 = pool.reserve1 + (-out if zero_for_one else sides[1])
                if row["kind"] == "exactOut" and extra:
                    continue
                assert accepted == is_accepted(
                    amount0_in=sides[0],
                    amount1_in=sides[1],
                    balance0=balance0,
                    balance1=balance1,
                    reserve0=pool.reserve0,
                    reserve1=pool.reserve1,
                    fee_n=pool.fee_n,
                    fee_d=pool.fee_d,
                ), row
