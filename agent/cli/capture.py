"""`mev-agent capture`: a block becomes a file."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FILE, URL
from agent.cli.output import Output
from agent.requests import CaptureRequest


@agent_command("capture", examples=("mev-agent capture 17666333 --rpc-url env:ARCHIVE_RPC --out block.json.gz",))
@click.argument("block", type=click.IntRange(min=1))
@click.option("--rpc-url", type=URL, required=True, help="An archive node; env:NAME takes it from the environment.")
@click.option("--out", type=FILE, required=True, help="The file to write.")
def command(output: Output, block: int, rpc_url: str, out: Path) -> int:
    """Write a block and its state from an archive node to a file.

    An interrupted capture goes on where it stopped; the finished file is verified by replaying the block.
    """
    capture = work("agent.session.capture", "capture")
    return output.show(capture(CaptureRequest(block=block, rpc_url=rpc_url, out=out), output.say))
