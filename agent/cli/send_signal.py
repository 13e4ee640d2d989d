"""`mev-agent signal`: a bounded wish from outside to an agent that trades an account."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FOLDER
from agent.cli.output import Output
from agent.errors import UsageError


@agent_command(
    "signal",
    examples=(
        "mev-agent signal --symbol BTC-USDC --side buy --quantity 0.01 --max-price 60000 --expires 60s",
        "mev-agent signal --symbol BTC-USDC --side sell --quantity 0.01 --min-price 59900 --producer model --json",
    ),
)
@click.option("--symbol", required=True, help="What to trade.")
@click.option("--side", required=True, type=click.Choice(("buy", "sell")), help="Which way.")
@click.option("--quantity", required=True, metavar="DECIMAL", help="How much, a multiple of the lot.")
@click.option("--max-price", metavar="DECIMAL", help="A buy never pays more.")
@click.option("--min-price", metavar="DECIMAL", help="A sell never takes less.")
@click.option(
    "--expires", default="60s", show_default=True, metavar="SPAN", help="How long it holds: 60s, 5m; ten at most."
)
@click.option("--urgency", default=5, show_default=True, type=click.IntRange(1, 10), help="1 is patient, 10 at once.")
@click.option(
    "--max-slippage-ppm",
    default=5_000,
    show_default=True,
    type=click.IntRange(0, 999_999),
    help="How far behind the middle it may trade.",
)
@click.option("--target", metavar="DECIMAL", help="The position it aims at; it never goes beyond.")
@click.option("--producer", default="hand", show_default=True, help="By its name in the configuration.")
@click.option("--key", metavar="env:NAME|file:PATH", help="Of the producer, where it has one.")
@click.option("--id", "signal_id", metavar="HEX", help="32 hex digits; the same again counts once.")
@click.option("--input-seq", type=click.IntRange(min=0), help="The event it was computed from; the latest if left out.")
@click.option("--run", "folder", type=FOLDER, help="The run's folder; the newest if left out.")
def command(
    output: Output,
    symbol: str,
    side: str,
    quantity: str,
    max_price: str | None,
    min_price: str | None,
    expires: str,
    urgency: int,
    max_slippage_ppm: int,
    target: str | None,
    producer: str,
    key: str | None,
    signal_id: str | None,
    input_seq: int | None,
    folder: Path | None,
) -> int:
    """Send a running agent a signal: a side, a quantity, a limit, an end.

    The agent decides whether and how: it keeps limits, checks and breakers. What is refused is refused with its code.
    """
    limit, other = (max_price, min_price) if side == "buy" else (min_price, max_price)
    if limit is None or other is not None:
        raise UsageError("a buy has --max-price and a sell --min-price", hint="mev-agent signal --help")
    request = work("agent.session.send_signal", "SignalRequest")(
        symbol=symbol,
        side=side,
        quantity=quantity,
        limit_price=limit,
        expires=expires,
        urgency=urgency,
        max_slippage_ppm=max_slippage_ppm,
        producer=producer,
        key=key,
        signal_id=signal_id,
        input_seq=input_seq,
        target=target,
        folder=folder,
    )
    return output.show(work("agent.session.send_signal", "send")(request, output.say))
