"""Write the tables of what was measured: `python scripts/make_bench_table.py [--check]`.

After `make bench`, build/bench/bench.json gives docs/reference/benchmarks.json, the small file that is committed; where
there is none, the committed one stands. From that one come the table of docs/reference/benchmarks.md and the one
between the README's markers, so that no number in either is typed by hand. `--check` writes nothing and exits 1 where
a page differs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MEASURED = ROOT / "build" / "bench" / "bench.json"
FIGURES = ROOT / "docs" / "reference" / "benchmarks.json"
PAGE = ROOT / "docs" / "reference" / "benchmarks.md"
README = ROOT / "README.md"
BEGIN = "<!-- benchmarks: made by scripts/make_bench_table.py from docs/reference/benchmarks.json -->"
END = "<!-- /benchmarks -->"
UNITS = {"x": "×", "us": " µs", "ms": " ms", "MB": " MB", "/s": " /s"}
IN_README = ("P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12", "P13", "P15")
CORE = """
## The full core

The rows P1 to P3 are the venue's adapter with its journal alone. The rows C1 to C7 are the whole agent: the profile
`bench` has every limit out of reach and runs every check; breakers, books, timers, journal (`process`) and a guard that
has shown itself are there.

- C1: order lives without a break, buys and sells in turn: wish, checks, place, acknowledgement, fill. Each of the three
  events and its effects is written before anything else happens. Counted is the processor time of the whole process.
- C2: the same with a move of the book and a tick for each, events ready, nothing written, beside
  `benchmarks/naive/desk.py`: the same checks, books and breakers in dataclasses and `Decimal`, without order of
  executions, fences, reconciliation, timers and restarts.
- C3 to C5: a tick's first byte to its order's last byte over loopback, one core for both processes. The server
  acknowledges, fills and moves the book behind its time stamp, and waits until that is taken in; the article's client
  and the C echo are answered by nobody. It stands alone in its process (`benchmarks/naive/article_client.py`): in one
  that has loaded much else it can be 1.6 times as fast, by where the allocator puts its buffers.
- C6: the longest collection behind the start, at the workload of C2 with journal and beats. None is a
  full one: while a run trades there is none (`agent/engine/collector.py`).
- C7: memory without files' pages from 60,000 lives on, by when all that is kept has reached its bound. Ten minutes of it
  are `python -m benchmarks.core_pauses --minutes 10`.
"""
STAGES_HEAD = """Stages of `mev-agent run --case` over all moments of a block, its traffic as fast as possible.
A moment is one new state, a head's or a target's, from its arrival to its last candidate: the search over the pools it
touched, and the simulation of what was found. Signing and sending follow once for what is chosen."""
PAGE_HEAD = """# What is fast, and how that is measured

`make bench` measures, judges each gate, and writes build/bench/bench.json; `python scripts/make_bench_table.py` makes
this page and the README's table from it.

Both sides of a row do the same work, which is asserted before anything is timed, in rounds that take turns, with the
collector off. Only-computing work counts processor time; what waits for another process counts time on the clock. The
other side is what a careful user writes today, under `benchmarks/naive/`. A row shows the ratio of medians and the
least and greatest of any round; a gate is judged by the median, one that is missed is measured twice more, and two of
three decide. On mainnet the slot and the network decide, not these microseconds: they buy candidates per event,
shorter tails, and venues and chains with short blocks.
"""


def main(arguments: list[str]) -> int:
    is_check = arguments == ["--check"]
    if arguments and not is_check:
        print("usage: scripts/make_bench_table.py [--check]", file=sys.stderr)
        return 2
    if not is_check and MEASURED.exists():
        FIGURES.write_text(json.dumps(small(json.loads(MEASURED.read_text())), indent=1, ensure_ascii=False) + "\n")
    document = json.loads(FIGURES.read_text())
    pages = {PAGE: page(document), README: with_table(README.read_text(), document)}
    differing = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    for path in differing:
        print(f"{path.relative_to(ROOT)} {'differs' if is_check else 'written'}")
        if not is_check:
            path.write_text(pages[path])
    return 1 if is_check and differing else 0


def small(measured: dict[str, Any]) -> dict[str, Any]:
    """Machine and rows, without each benchmark's own figures. ValueError for a run that did not measure every row."""
    kept = {key: value for key, value in measured["data"].items() if key != "figures"}
    missing = set(IN_README) - {row["id"] for row in kept["rows"]}
    if missing:
        raise ValueError(
            f"{MEASURED.relative_to(ROOT)} lacks {', '.join(sorted(missing))}; run make bench without names"
        )
    kept["latency_ns"] = measured["data"]["figures"].get("head_to_candidate", {}).get("latency_ns", {})
    return {"schema": measured["schema"], "ok": measured["ok"], "data": kept}


def page(document: dict[str, Any]) -> str:
    """The reference page."""
    held = document["data"]
    versions = ", ".join(f"{name} {version}" for name, version in held["versions"].items())
    return (
        f"{PAGE_HEAD}\n{conditions(held)}\n\n{table(held['rows'], is_long=True)}\n\n"
        f"With {versions}.\n\n"
        "Limits in microseconds, and rates, hold on a machine that signs in 27 µs; what was measured is scaled to one.\n"
        f"{CORE}"
        f"{stages(held['latency_ns'])}"
    )


def with_table(readme: str, document: dict[str, Any]) -> str:
    """The README with its table made anew. ValueError where the markers are not there."""
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks the markers {BEGIN} and {END}")
    held = document["data"]
    rows = [row for row in held["rows"] if row["id"] in IN_README]
    return f"{head}{BEGIN}\n{table(rows, is_long=False)}\n\n{conditions(held)}\n{END}{tail}"


def conditions(held: dict[str, Any]) -> str:
    """Where and when, in one sentence."""
    machine = f"{held['cores']} cores of {held['processor']}, {held['system']}, {held['python']}"
    load = f"load {held['load_before']:g} before and {held['load_after']:g} after"
    return f"Measured on {held['date']}: {machine}, {load}, {held['steal_percent']:g} % taken by the host."


def table(rows: list[dict[str, Any]], *, is_long: bool) -> str:
    """Markdown; the long one has the range over rounds."""
    heads = [*(["gate"] if is_long else []), "slower / faster", "median", *(["least to greatest"] if is_long else [])]
    heads += ["must be", "held"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in sorted(rows, key=place):
        unit = UNITS[row["unit"]]
        sign = "≤" if row["is_limit"] else "≥"
        cells = [row["what"], f"{rounded(row['value'])}{unit}"]
        if is_long:
            cells = [row["id"], *cells, f"{rounded(row['min'])} – {rounded(row['max'])}{unit}"]
        cells += [f"{sign} {row['gate']:g}{unit}", "yes" if row["is_held"] else "**no**"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def stages(by_block: dict[str, dict[str, dict[str, int]]]) -> str:
    """How long each stage took between a new head and the last candidate, by archived block."""
    if not by_block:
        return ""
    lines = ["", "## From a new head to the last candidate", "", STAGES_HEAD, ""]
    lines += ["| block | stage | times | median | 99 % | longest |", "|---|---|---|---|---|---|"]
    for block, latency in by_block.items():
        for name, held in sorted(latency.items(), key=lambda item: -item[1]["max"]):
            spans = [f"{rounded(held[key] / 1e6)} ms" for key in ("p50", "p99", "max")]
            lines.append(f"| {' | '.join([block, name.replace('_', ' '), str(held['n']), *spans])} |")
    return "\n".join(lines) + "\n"


def place(row: dict[str, Any]) -> tuple[bool, int]:
    """Numbered gates in order, then the others."""
    number = row["id"].removeprefix("P")
    return (not number.isdigit(), int(number) if number.isdigit() else 0)


def rounded(value: float) -> str:
    """Three digits that mean something; more would be noise."""
    return f"{float(f'{value:.3g}'):,g}"


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except ValueError as error:
        sys.exit(f"error: {error}")
