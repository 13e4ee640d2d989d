"""Write the reference pages that are made from the code: `make docs`. A test holds page and code equal.

docs/reference/cli.md from the commands, config.md from the models, codes.md from the tables of codes; the diagram and
the table of docs/explanation/orders.md from the table of the order states.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from agent.cli.codes import pages
from agent.cli.command import AgentCommand
from agent.cli.commands import COMMANDS
from agent.cli.root import root
from agent.config.model import File, sections
from agent.config.template import written
from agent.core.orders.drawing import drawn

REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "reference"
ORDERS = REFERENCE.parent / "explanation" / "orders.md"
NOTE = "<!-- Made by scripts/make_reference.py; change the code instead. -->"


def cli_page() -> str:
    lines = [
        NOTE,
        "# Command line",
        "",
        "stdout carries the result and nothing else, stderr the rest. With `--json` the result is one document:",
        '`{"schema": "mev-agent/<name>/1", "ok", "mode", "data", "warnings", "errors"}`. Amounts are decimal strings.',
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | ok, also for a run that found nothing |",
        "| 1 | a check's answer is no |",
        "| 2 | usage |",
        "| 3 | configuration |",
        "| 4 | environment: a missing tool, an unreachable node, the wrong chain |",
        "| 5 | refused by the risk core |",
        "| 6 | halted by a breaker or the guard |",
        "| 7 | result unknown: it was sent and not confirmed |",
        "| 70 | our defect; a crash file is written |",
        "| 130, 143 | interrupted, terminated |",
        "| 141 | the reader of stdout went away |",
        "",
        "Every command takes `--json`, `--quiet`, `--color`, `--debug` and `--help`.",
    ]
    context = click.Context(root, info_name="mev-agent")
    for heading in dict.fromkeys(entry.heading for entry in COMMANDS.values()):
        lines += ["", f"## {heading}"]
        for name, entry in COMMANDS.items():
            if entry.heading == heading:
                command = root.get_command(context, name)
                assert command is not None
                lines += command_section(command, f"mev-agent {name}")
    return "\n".join(lines) + "\n"


def command_section(command: click.Command, words: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from command_section(inner, f"{words} {name}")
        return
    assert isinstance(command, AgentCommand)
    context = click.Context(command, info_name=words)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ["", f"### {words}", "", *paragraphs(command.help or ""), "", f"    {words} {usage}", ""]
    rows = [option_row(parameter) for parameter in command.params if is_own(parameter)]
    if rows:
        yield from ["| option | meaning |", "|---|---|", *rows, ""]
    yield from (f"    {example}" for example in command.examples)


def is_own(parameter: click.Parameter) -> bool:
    common = {"as_json", "quiet", "color", "debug"}
    return isinstance(parameter, click.Option) and parameter.name not in common


def option_row(parameter: click.Parameter) -> str:
    assert isinstance(parameter, click.Option)
    kind = "" if parameter.is_flag else f" {value_word(parameter)}"
    needed = " Required." if parameter.required else ""
    again = " May be repeated." if parameter.multiple else ""
    return f"| `{', '.join(parameter.opts)}{kind}` | {parameter.help}{needed}{again} |".replace("[", "\\[")


def value_word(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "/".join(option.type.choices)
    return option.type.name.upper().replace("INTEGER RANGE", "N").replace("INTEGER", "N")


def paragraphs(text: str) -> list[str]:
    return [" ".join(block.split()) + ("" if last else "\n") for block, last in with_last(text.split("\n\n"))]


def with_last(items: list[str]) -> Iterator[tuple[str, bool]]:
    for index, item in enumerate(items):
        yield item, index == len(items) - 1


def config_page() -> str:
    lines = [
        NOTE,
        "# Configuration",
        "",
        "TOML. Layers, weakest first: the defaults below; `--config FILE`, repeatable, and without one",
        "`./mev-agent.toml` if it is there; variables `MEV_AGENT__SECTION__KEY`; `--set section.key=value`.",
        "Tables merge, arrays replace. An unknown key, also in a variable, is a mistake; all mistakes are told at",
        "once, each with its line. Tables whose name begins with `x-` are yours and pass unread.",
        "",
        'Amounts are an integer of wei or text such as `"0.3 ether"` and `"12 gwei"`, parsed exactly. A secret is',
        'never in the file, only where it lies: `"keystore:NAME"`, `"env:NAME"`, `"file:PATH"`.',
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    tables = sections()
    for name, field in File.model_fields.items():
        if name not in tables:
            key = field.alias or name
            lines.append(
                f"| `{key}` | `{written(key, field.default)}` | {field.description or 'The version of this format.'} |"
            )
    for table, model in tables.items():
        lines += ["", f"## [{table}]", "", str(model.__doc__), "", "| key | default | meaning |", "|---|---|---|"]
        for key, inner in model.model_fields.items():
            lines.append(f"| `{key}` | {default_of(key, inner.get_default())} | {inner.description} |")
    lines += ["", 'An endpoint is `{ name = "…", url = "…" }`, or a table `[[onchain.endpoints]]` of its own.']
    return "\n".join(lines) + "\n"


def default_of(key: str, value: Any) -> str:
    if value is None or value == []:
        return f"not set, as `{written(key, value)}`"
    if key == "start_tokens":
        return "WETH, USDC, USDT, DAI, WBTC of mainnet"
    return f"`{written(key, value)}`"


def codes_page() -> str:
    lines = [
        NOTE,
        "# Codes",
        "",
        "`E_` is an error, `D_` a drop (a decision not to act), `R_` a refusal of the risk core. ",
        "`mev-agent explain CODE` says the same without a network.",
    ]
    for code, page in sorted(pages().items()):
        lines += ["", f"## {code}", "", page.meaning, "", f"*What to do:* {page.remedy}"]
    return "\n".join(lines) + "\n"


PAGES = {"cli.md": cli_page, "config.md": config_page, "codes.md": codes_page}


def main() -> int:
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page())
        print(f"docs/reference/{name}")
    ORDERS.write_text(drawn(ORDERS.read_text()))
    print("docs/explanation/orders.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
