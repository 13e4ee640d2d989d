"""On what, with which versions and under what load something was measured."""

from __future__ import annotations

import datetime
import os
import platform
import re
import time
from importlib import metadata
from pathlib import Path

VERSIONS = (
    "web3", "eth-account", "coincurve", "websockets", "picows", "aiohttp", "httpx", "uvloop", "msgspec", "numpy",
)  # fmt: skip
STEAL_SECONDS = 1.0


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float:
    """Mean number of runnable tasks over the last minute."""
    return round(os.getloadavg()[0], 2)


def steal_percent(seconds: float = STEAL_SECONDS) -> float:
    """Share of the time that the host gave to other guests; 0 where the kernel does not say."""
    before = _ticks()
    time.sleep(seconds)
    spent: list[int] = [after - earlier for after, earlier in zip(_ticks(), before, strict=True)]
    total = sum(spent)
    return round(100 * spent[7] / total, 2) if len(spent) > 7 and total else 0.0


def describe() -> dict[str, object]:
    """Date, machine and versions; no name of the machine and no path."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {re.split('[-+]', platform.release())[0]} {platform.machine()}",
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not shown",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": {name: metadata.version(name) for name in VERSIONS if _is_installed(name)},
    }


def _ticks() -> list[int]:
    first = _read("/proc/stat").partition("\n")[0].split()
    return [int(word) for word in first[1:]]


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
