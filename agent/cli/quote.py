"""`mev-agent quote`: one exact quote, beside what execution gives."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import ADDRESS, FILE
from agent.cli.output import Output
from agent.requests import QuoteRequest


@agent_command(
    "quote", examples=("mev-agent quote --case block.json.gz --pool 0x… --token-in 0x… --amount-in 1000000",)
)
@click.option("--case", type=FILE, required=True, help="An archived block.")
@click.option("--pool", type=ADDRESS, required=True, help="The pool.")
@click.option("--token-in", type=ADDRESS, required=True, help="The token that is paid.")
@click.option("--amount-in", type=click.IntRange(min=1), required=True, help="How much of it, in its smallest unit.")
def command(output: Output, case: Path, pool: bytes, token_in: bytes, amount_in: int) -> int:
    """Quote one swap exactly, beside what execution gives.

    The exit code is 1 when the two differ by so much as one unit.
    """
    quote = work("agent.session.quote", "quote")
    return output.show(quote(QuoteRequest(case=case, pool=pool, token_in=token_in, amount_in=amount_in), output.say))
