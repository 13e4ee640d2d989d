"""Options and value types that several commands share, with their checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from agent.errors import UsageError
from agent.requests import WorldRequest

Function = TypeVar("Function", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
URL_SCHEMES = ("http://", "https://", "ws://", "wss://")


class HexBytes(click.ParamType[Any]):
    """`0x` and exactly `length` bytes of hex."""

    def __init__(self, name: str, length: int) -> None:
        self.name = name
        self.length = length

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        text = str(value)
        try:
            raw = bytes.fromhex(text[2:]) if text.startswith("0x") else b""
        except ValueError:
            raw = b""
        if len(raw) != self.length or len(text) != 2 + 2 * self.length:
            self.fail(f"{text!r} is not 0x and {2 * self.length} hex digits.", param, ctx)
        return raw


class AddressType(HexBytes):
    """An address; in mixed case its EIP-55 checksum must be right."""

    def __init__(self) -> None:
        super().__init__("address", 20)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        raw = super().convert(value, param, ctx)
        if isinstance(value, str):
            from agent.eth.hexes import to_address

            try:
                to_address(value)
            except ValueError as error:
                self.fail(f"{error}.", param, ctx)
        return raw


class UrlType(click.ParamType[Any]):
    """A node's address; `env:NAME` takes it from the environment, so that it stays out of the shell's history."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        import os

        text = str(value)
        if text.startswith("env:"):
            text = os.environ.get(text[4:], "")
            if not text:
                self.fail(f"the variable {value[4:]} is not set.", param, ctx)
        if not text.startswith(URL_SCHEMES):
            self.fail(f"it must begin with {', '.join(URL_SCHEMES)}.", param, ctx)
        return text


ADDRESS = AddressType()
HASH = HexBytes("hash", 32)
URL = UrlType()


def world_options(*, with_live: bool) -> Callable[[Function], Function]:
    """`--case`, `--slice`, `--fork-url`, `--fork-block` and, where it makes sense, `--rpc-url`."""

    def add(function: Function) -> Function:
        options = [
            click.option("--case", type=FILE, help="An archived block."),
            click.option("--slice", "is_slice", is_flag=True, help="The built-in slice of mainnet (the default)."),
            click.option("--fork-url", type=URL, help="Fork the chain behind this endpoint."),
            click.option(
                "--fork-block", type=click.IntRange(min=0), help="Fork at this block; the latest if left out."
            ),
        ]
        if with_live:
            options.append(click.option("--rpc-url", type=URL, help="Watch the live chain behind this endpoint."))
        for option in reversed(options):
            function = option(function)
        return function

    return add


def world_of(
    *,
    case: Path | None,
    is_slice: bool,
    fork_url: str | None,
    fork_block: int | None,
    rpc_url: str | None = None,
) -> WorldRequest:
    """The one world that was asked for."""
    asked = {"--case": case, "--slice": is_slice, "--fork-url": fork_url, "--rpc-url": rpc_url}
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other", hint="name one world")
    if fork_block is not None and not fork_url:
        raise UsageError("--fork-block needs --fork-url", hint="name the endpoint to fork")
    if case is not None:
        return WorldRequest(kind="case", case=case)
    if fork_url:
        return WorldRequest(kind="fork", url=fork_url, block=fork_block)
    if rpc_url:
        return WorldRequest(kind="live", url=rpc_url)
    return WorldRequest()


def config_options(function: Function) -> Function:
    """`--config` and `--set`, for every command that reads the configuration."""
    options = [
        click.option(
            "--config", "config_files", type=FILE, multiple=True, help="A configuration file; the later one wins."
        ),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set one key, as risk.max_hops=3."),
    ]
    for option in reversed(options):
        function = option(function)
    return function
