"""What a person asks of the guard: run it, ask how things are, stop everything, and allow a start again.

None of it needs the agent, and stopping needs no guard either: the latch is a file, and an agent that finds it, or
that finds no guard, stops itself.
"""

from __future__ import annotations

import contextlib
import getpass
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.errors import ConfigError, OutcomeUnknown, RiskRefused, SetupError
from agent.guard import latch
from agent.guard.configuration import Configuration, ConfigurationFault, load
from agent.guard.control import ask
from agent.guard.folder import ARMED, configuration_path, is_verified, read_object
from agent.ports.clock import SYSTEM_CLOCK
from agent.requests import Answer, Say

GUARD_FILE = Path(latch.__file__).with_name("__main__.py")
CONFIG = Path("guard.toml")
FOLDER = Path("runs") / "guard"
"""Where the guard of shadow and live runs lives; a devnet's run has one in its own folder."""
HALTED = 6
_SIGNED, _BAD_CONFIGURATION, _NO_NODE = 0, 3, 4
_POLL_S = 0.05

Show = Callable[[Answer], int]


def run(config: Path | None, say: Say, show: Show) -> int:
    """Sign the halting transactions where a keystore is named, then be the guard's parent until it ends."""
    path = config or CONFIG
    found = _load(path)
    if found.chain is not None and found.chain.guardian_keystore is not None:
        say("signing halt() ahead…")
        signed = subprocess.run([sys.executable, "-m", "agent.guard.signing", "--config", str(path)], check=False)
        if signed.returncode == _BAD_CONFIGURATION:
            raise ConfigError("the guardian's key cannot be used; the line above says why", where=str(path))
        if signed.returncode != _SIGNED:
            raise SetupError("halt() could not be signed ahead; the line above says why", where=str(path))
    say(f"the guard watches over {found.folder}; `mev-agent status` shows how, Ctrl-C ends it and stops a linked agent")
    process = subprocess.Popen([sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(path)])
    try:
        code = process.wait()
    except BaseException:
        # Ctrl-C reaches the guard by itself; after SIGTERM it is told. It may have an agent to stop first.
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()
        raise
    if code == _NO_NODE:
        raise SetupError("the guard cannot have its folder; the line above says why", where=str(found.folder))
    held = latch.read(found.folder)
    data = {"exit_code": code, "folder": str(found.folder), "latch": held}
    return show(Answer(data=data, text=f"the guard ended with {code}", mode="guard", exit_code=HALTED if held else 0))


def status(folder: Path | None, config: Path | None) -> Answer:
    """Every guard that is known here; exit 6 where one of them, or its latch, says halted."""
    rows = [_row(each) for each in _folders(folder, config)]
    from agent.session.accounts import account_lines, account_rows  # a halt need not wait for the core's code

    accounts = account_rows([Path(row["folder"]) for row in rows])
    is_halted = any(row["latch"] is not None for row in rows)
    lines = [line for row in rows for line in _lines(row)] or ["no guard runs here, and no latch is set"]
    lines += [line for row in accounts for line in account_lines(row)]
    data = {"guards": rows, "accounts": accounts}
    return Answer(data=data, text="\n".join(lines), mode="guard", exit_code=HALTED if is_halted else 0)


def halt(folder: Path | None, config: Path | None, reason: str, wait_s: float, say: Say) -> Answer:
    """Stop everything: through each guard that answers, and by the latch where none does.

    Raises OutcomeUnknown where no guard has verified by reads, in that time, that nothing goes on.
    """
    folders = _folders(folder, config)
    by = getpass.getuser()
    answering = [each for each in folders if _ask(each, {"ask": "halt", "by": by, "reason": reason}) is not None]
    silent = [each for each in folders if each not in answering] or ([] if answering else [folder or FOLDER])
    for each in silent:
        # No guard: the file alone stops what would start, and an agent without a guard stops itself.
        try:
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            latch.set_latch(each, code="asked", detail=reason, by=by)
        except OSError as error:
            raise SetupError(f"the latch cannot be written: {error.strerror}", where=str(each)) from None
    if config is not None and silent:
        say("no guard runs: starting one to stop what may still be live, and to look")
        _climb(config, wait_s)
    else:
        _wait_verified(answering, wait_s)
    rows = [_row(each) for each in (*answering, *silent)]
    unseen = [row["folder"] for row in rows if not row["is_verified"]]
    if unseen:
        raise OutcomeUnknown(
            "the latch is set, and nobody has read yet that nothing is live any more",
            code="E_HALT_UNVERIFIED",
            where=", ".join(unseen),
            hint="`mev-agent status` goes on asking; without a guard, `mev-agent halt --config FILE` starts one to look",
        )
    text = "\n".join(line for row in rows for line in _lines(row))
    return Answer(data={"guards": rows}, text=text, mode="guard")


def reset(
    folder: Path | None,
    config: Path | None,
    *,
    reason: str,
    confirm: Callable[[str], str],
    is_unverified_allowed: bool,
    new_key: str | None = None,
    run: Path | None = None,
) -> Answer:
    """Take the latch away, with a person's reason. `confirm` is given the word to type and returns what was typed.

    Before it everything must have been seen to stand still, the agent's key be replaced (the old one dead, `new_key`, a
    reference, at work), and the journal's books come to the venue's. `run` is the folder of the journal.

    Raises RiskRefused where one of these is not so and may not be passed over, or where the word is not typed.
    """
    place = folder or (_load(config).folder if config is not None else FOLDER)
    held = latch.read(place)
    if held is None:
        return Answer(data={"folder": str(place), "was_latched": False}, text=f"{place}: no latch is set", mode="guard")
    evidence = str(held.get("evidence", ""))
    problems = [] if is_verified(place, evidence) else ["nobody has read yet that everything has stopped"]
    from agent.session.reset_checks import unready  # the code of journal and core, which a halt need not wait for

    path = config or configuration_path(place)
    problems += unready(None if path is None else _load(path), place, new_key, run)
    if problems and not is_unverified_allowed:
        raise RiskRefused(
            "it is not seen that trading may begin again:\n  " + "\n  ".join(problems),
            limit="verified",
            used=0,
            cap=0,
            code="E_RESET_REFUSED",
            hint="mend it, or, where that cannot be, look yourself and say --unverified; docs/how-to/stop-it.md",
        )
    word = evidence[:8] or "reset"
    if confirm(word).strip() != word:
        raise RiskRefused(
            "a reset needs a person who types the word asked for",
            limit="person",
            used=0,
            cap=0,
            code="E_RESET_REFUSED",
            hint=f"at a terminal, type {word}; elsewhere say --yes-i-am-a-person {word}",
        )
    try:
        checks = [f"passed over: {problem}" for problem in problems] or ["standing still, key and books were looked at"]
        record = latch.release(place, reason=reason, by=getpass.getuser(), checks=checks)
    except OSError as error:
        raise SetupError(f"the latch cannot be moved: {error.strerror}", where=str(place)) from None
    text = f"{place}: the latch is released, the next run may only reduce; the record is {record}"
    data = {
        "folder": str(place),
        "was_latched": True,
        "record": str(record),
        "reason": reason,
        "latch": held,
        "passed_over": problems,
    }
    return Answer(data=data, text=text, mode="guard", warnings=tuple(f"passed over: {one}" for one in problems))


def _folders(folder: Path | None, config: Path | None) -> list[Path]:
    if folder is not None:
        return [folder]
    if config is not None:
        return [_load(config).folder]
    standing = [FOLDER] if FOLDER.is_dir() else []
    runs = [each.parent for each in sorted(Path("runs").glob("*/guard/control.sock"))]
    return standing + [each for each in runs if _ask(each, {"ask": "status"}) is not None]


def _row(folder: Path) -> dict[str, Any]:
    answer = _ask(folder, {"ask": "status"})
    held = latch.read(folder)
    return {
        "folder": str(folder),
        "is_running": answer is not None,
        "latch": held,
        "is_verified": held is not None and is_verified(folder, str(held.get("evidence", ""))),
        "left_armed": None if answer is not None else read_object(folder / ARMED),
        "guard": answer,
    }


def _lines(row: dict[str, Any]) -> list[str]:
    guard, held = row["guard"], row["latch"]
    lines = [f"{row['folder']}"]
    if guard is None:
        lines.append(
            "  guard   not running" + (", and it left an agent armed" if row["left_armed"] is not None else "")
        )
    else:
        why = f", not armed: {guard['why_unready']}" if guard["why_unready"] and held is None else ""
        lines.append(f"  guard   {guard['state']}, process {guard['guard_pid']}{why}")
        if guard["agent_pid"] is not None:
            age = "none yet" if guard["beat_age_ms"] is None else f"{guard['beat_age_ms']} ms old"
            lines.append(
                f"  agent   run {guard['run']}, process {guard['agent_pid']}, mode {guard['mode']}, last beat {age}"
            )
        flat = guard["flatten"]
        if flat is not None and flat["is_under_way"]:
            lines.append(f"  flatten {'done' if flat['is_flat'] else 'under way'}  {flat['last_fault']}".rstrip())
        cut = guard["network_cut"]
        if not cut["is_possible"]:
            lines.append(f"  network NOT cut by a halt: {cut['why_not']}; bytes that the kernel holds may still leave")
        if guard["button"] is not None:
            button = guard["button"]
            lines.append(f"  button  {button['url'] or 'none: ' + button['problem']}")
        for rung in guard["rungs"]:
            done = "not yet" if rung["confirmed_ms"] is None else f"after {rung['confirmed_ms']} ms"
            fault = f"  ({rung['last_fault']})" if rung["last_fault"] and rung["confirmed_ms"] is None else ""
            lines.append(f"  {rung['rung']:<9} first act after {rung['first_act_ms']} ms, seen by a read {done}{fault}")
    if held is not None:
        seen = "everything was seen to stand still" if row["is_verified"] else "NOT yet verified"
        lines.append(f"  latch   set by {held.get('by') or 'somebody'}: {held['code']}, {held.get('detail')}; {seen}")
    return lines


def _ask(folder: Path, question: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return ask(folder, question)
    except (OSError, ValueError):
        return None


def _wait_verified(folders: list[Path], wait_s: float) -> None:
    until_ns = SYSTEM_CLOCK.monotonic_ns() + int(wait_s * 1e9)
    while SYSTEM_CLOCK.monotonic_ns() < until_ns and not all(_row(folder)["is_verified"] for folder in folders):
        time.sleep(_POLL_S)


def _climb(config: Path, wait_s: float) -> None:
    """A guard that finds the latch stops everything and looks; after `wait_s` it is left to go on alone."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD_FILE), "--config", str(config), "--once"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)


def _load(path: Path) -> Configuration:
    if not path.exists():
        raise ConfigError(
            f"no guard configuration at {path}", where=str(path), hint="docs/how-to/stop-it.md has one to start from"
        )
    try:
        return load(path)
    except ConfigurationFault as fault:
        raise ConfigError(str(fault), where=str(path)) from None
