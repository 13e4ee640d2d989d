"""Run the agent and draw what the terminal shows: `python scripts/make_picture.py [OUT.svg]`.

The picture in the README is this script's, on the built-in slice; nothing in it is drawn by hand. It holds no font
and no address, so that it looks the same from disk.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "run.svg"
WORDS = ["run", "--blocks", "8", "--seed", "7"]
LINES_MAX = 48
WIDTH = 128


def main(arguments: list[str]) -> int:
    out = Path(arguments[0]) if arguments else PICTURE
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("mev-agent")), *WORDS]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        return done.returncode
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ mev-agent {' '.join(WORDS)}", style="bold green"))
    for line in shortened(done.stdout.splitlines()):
        console.print(Text(line), overflow="ellipsis", no_wrap=True)
    # The font would be fetched from elsewhere: take the reader's own.
    template = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(console.export_svg(title="mev-agent", theme=MONOKAI, code_format=template))
    sys.stdout.write(f"{out}\n")
    return 0


def shortened(lines: list[str]) -> list[str]:
    """The beginning and the end, where all of it is too long for a picture."""
    if len(lines) <= LINES_MAX:
        return lines
    half = LINES_MAX // 2
    return [*lines[:half], f"… {len(lines) - 2 * half} more lines …", *lines[-half:]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
