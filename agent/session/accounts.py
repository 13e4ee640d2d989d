"""What the accounts of this folder's runs say of themselves, each on the page beside its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from agent.engine.account_page import FILE_NAME, SCHEMA
from agent.session.runs import RUNS_FOLDER


def account_rows(guards: list[Path]) -> list[dict[str, Any]]:
    """One for each account that outlives its runs, and for each run that a guard of these watches."""
    folders = [path.parent for path in sorted(RUNS_FOLDER.glob(f"accounts/*/{FILE_NAME}"))]
    folders += [folder.parent for folder in guards if (folder.parent / FILE_NAME).is_file()]
    rows = []
    for folder in folders:
        try:
            page = json.loads((folder / FILE_NAME).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(page, dict) and page.get("schema") == SCHEMA:
            is_running = isinstance(page.get("pid"), int) and Path(f"/proc/{page['pid']}").exists()
            rows.append({"folder": str(folder), "is_running": is_running, **page})
    return rows


def account_lines(row: dict[str, Any]) -> list[str]:
    """The same for a person."""
    stands = row["halted"] or row["mode"]
    state = f"session {row['session']}, {stands}" if row["is_running"] else f"no run now; when it ended: {stands}"
    lines = [row["folder"], f"  account {state}"]
    if row["difference"]:
        lines.append(f"  differs {row['difference']}")
    for one in row["adopted"][-8:]:
        at = f" at {one['price_ticks']} ticks" if one["price_ticks"] else ""
        lines.append(f"  adopted {one['name']} {one['amount']}{at}")
    return lines
