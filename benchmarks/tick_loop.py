"""The loop in C: built once by the machine's compiler, or by the one of the package `ziglang`."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"


class NoCompiler(Exception):
    """There is neither `cc` nor the package `ziglang`."""


def compiler() -> list[str]:
    """The command that compiles C. Raises NoCompiler."""
    found = shutil.which("cc")
    if found is not None:
        return [found]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise NoCompiler


def load() -> ctypes.CDLL:
    """The library, built anew where its source changed. Raises NoCompiler."""
    name = hashlib.blake2b(SOURCE.read_bytes(), digest_size=6).hexdigest()
    path = BUILD / f"tick_loop-{name}.so"
    if not path.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run([*compiler(), "-O2", "-shared", "-fPIC", "-o", str(path), str(SOURCE)], check=True)
    library = ctypes.CDLL(str(path))
    library.measure.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_void_p)
    library.measure_trading.argtypes = (*library.measure.argtypes, ctypes.c_long, ctypes.c_long)
    library.answer.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_long)
    return library
