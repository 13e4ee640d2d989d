"""All checks in order, and the answer made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from agent.config import load_settings
from agent.doctor import machine, network
from agent.doctor.rows import Check, Row, fail, ok
from agent.errors import AgentError, ConfigError
from agent.requests import Answer
from agent.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]


def examine(files: Sequence[Path], overrides: Sequence[str]) -> Answer:
    """Every check of the machine; those of keys and endpoints as far as the configuration can be read."""
    checks: list[Check] = [
        machine.python,
        machine.backends,
        machine.node,
        machine.foundry,
        partial(machine.protocol_contracts, REPOSITORY),
        machine.executor,
        machine.ports,
        machine.network_cut,
    ]
    rows = [row for check in checks for row in run(check)]
    settings, row = configuration(files, overrides)
    rows.append(row)
    rows += run(partial(machine.disk, Path(settings.observe.runs_dir if settings else "runs")))
    if settings is not None:
        for checked in (network.keys, network.node, network.endpoints, network.guard):
            rows += run(partial(checked, settings))
    else:
        rows += run(machine.clock)
    return answer(rows, mode=settings.mode if settings else "devnet")


def configuration(files: Sequence[Path], overrides: Sequence[str]) -> tuple[Settings | None, Row]:
    try:
        loaded = load_settings(files, overrides=overrides)
    except ConfigError as error:
        return None, fail("config", error.message, error.hint)
    return loaded.settings, ok("config", ", ".join(loaded.files) or "defaults alone")


def run(check: Check) -> Iterator[Row]:
    """The rows of one check; what it raises becomes one."""
    name = getattr(check, "func", check).__name__
    try:
        yield from check()
    except AgentError as error:
        yield fail(name, error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - a doctor that falls ill helps nobody
        yield fail(name, f"the check itself failed: {type(error).__name__}", "run again with --debug and report it")


def answer(rows: Sequence[Row], *, mode: str) -> Answer:
    failures = sum(row.status == "FAIL" for row in rows)
    warnings = sum(row.status == "warn" for row in rows)
    width = max(len(row.subject) for row in rows)
    lines = []
    for row in rows:
        first, *more = row.finding.splitlines()
        lines.append(f"{row.status:<4}  {row.subject:<{width}}  {first}")
        lines += [f"{'':{width + 8}}{line.strip()}" for line in more]
        if row.remedy:
            lines.append(f"{'':{width + 8}}-> {row.remedy}")
    lines.append(f"{count(failures, 'failure')}, {count(warnings, 'warning')}")
    return Answer(
        data={"rows": list(rows), "failures": failures, "warnings": warnings},
        text="\n".join(lines),
        mode=mode,
        exit_code=1 if failures else 0,
    )


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
