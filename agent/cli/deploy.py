"""`mev-agent deploy`: the executor contract on any chain."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from agent.cli.command import agent_command, work
from agent.cli.options import URL, config_options
from agent.cli.output import Output
from agent.requests import DeployRequest


@agent_command(
    "deploy",
    examples=("mev-agent deploy --rpc-url env:ETH_RPC_URL", "mev-agent deploy --rpc-url env:ETH_RPC_URL --broadcast"),
)
@config_options
@click.option("--rpc-url", type=URL, help="The node; onchain.http_url of the configuration if left out.")
@click.option("--build", type=click.Choice(["cancun", "london"]), default="cancun", help="Which build of the contract.")
@click.option("--broadcast", "is_broadcast", is_flag=True, help="Send the transaction; without it nothing is sent.")
def command(
    output: Output,
    config_files: tuple[Path, ...],
    overrides: tuple[str, ...],
    rpc_url: str | None,
    build: Literal["cancun", "london"],
    is_broadcast: bool,
) -> int:
    """Deploy the executor contract; dry unless --broadcast.

    Says the address, the transaction and what it would cost; a contract that is there already is left alone.
    """
    from agent.config import load_settings, node_url

    settings = load_settings(config_files, overrides=overrides).settings
    deploy = work("agent.venues.onchain.deploy", "deploy_by_request")
    request = DeployRequest(rpc_url=rpc_url or node_url(settings), build=build, is_broadcast=is_broadcast)
    return output.show(deploy(request, settings, output.say))
