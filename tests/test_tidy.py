"""The house rules as one test: each check says why it is there, and what it finds by name."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PURE = ("eth", "core", "dex", "strategies")
BINARY_BYTES_MAX = 1024 * 1024
LINES_MAX = 450
"""One idea one file; a file that needs more has two."""

# Parts of words, joined here so that this file does not find itself.
INDEX_HOSTS = ["pypi" + ".org", "python" + "hosted", "npm" + "js", "npm" + "mirror"]
MACHINE_PATHS = re.compile(
    r"(?<![\w.])/(?:" + "|".join(["ro" + "ot", "ho" + "me", "wo" + "rk", "Us" + "ers"]) + r")/\w"
)
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
BANNED_NAMES = {"utils", "helpers", "manager", "data", "info", "common", "misc", "handler"}
TEXT_SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".json",
    ".sol",
    ".lock",
    ".yml",
    ".yaml",
    ".js",
    ".mjs",
    ".txt",
    ".html",
    ".css",
    "",
}

# Where a float may stand in a pure package, and why.
FLOAT_ALLOWED: dict[str, str] = {
    "agent/dex/tick_math.py": "a first guess by logarithm, then settled by exact integers",
    "agent/strategies/arb/screen.py": "a screen with a proved slack: exact integers decide what it lets through",
    "agent/strategies/formulas/avellaneda_stoikov.py": "a real-valued formula: quotes are rounded to the grid",
    "agent/strategies/formulas/ewma_z.py": "a real-valued formula: quotes are rounded to the grid",
    "agent/strategies/formulas/glft.py": "a real-valued formula: quotes are rounded to the grid",
    "agent/strategies/formulas/micro_price.py": "its division is of exact fractions",
    "agent/strategies/formulas/ornstein_uhlenbeck.py": "a real-valued formula: quotes are rounded to the grid",
    "agent/strategies/formulas/volatility.py": "a real-valued formula: quotes are rounded to the grid",
    "agent/strategies/formulas/vpin.py": "a real-valued formula: quotes are rounded to the grid",
    "agent/strategies/market_making/maker.py": "real-valued parameters; quotes are rounded outward",
    "agent/strategies/mean_reversion/reverter.py": "real-valued scores; its orders are integers",
}
# Where the clock may be read: everything else is given its time.
CLOCK_ALLOWED = (
    "agent/cli/failure.py",
    "agent/devnet/builder/",
    "agent/devnet/relay/",
    "agent/doctor/",
    "agent/guard/",
    "agent/observe/",
    "agent/ports/clock.py",
    "agent/venues/",
)


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked():
        if path.suffix in TEXT_SUFFIXES:
            yield name(path), path.read_text()


def python(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for path in tracked():
        if path.suffix == ".py" and name(path).startswith(folders):
            yield name(path), ast.parse(path.read_text())


def pure() -> Iterator[tuple[str, ast.Module]]:
    yield from python(*(f"agent/{package}/" for package in PURE))


def calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def none_of(found: list[str], why: str) -> None:
    assert not found, f"{why}:\n  " + "\n  ".join(found)


def test_nothing_prints_past_the_output_object() -> None:
    found = [f"{file}:{line}" for file, tree in python("agent/") for call, line in calls(tree) if call == "print"]
    none_of(found, "stdout carries the result alone, so only agent/cli/output.py writes")


def test_no_money_passes_through_a_float() -> None:
    found = [
        f"{file}:{line}"
        for file, tree in pure()
        if file not in FLOAT_ALLOWED
        for line in (
            *(line for call, line in calls(tree) if call == "float"),
            *(
                node.lineno
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, float)
            ),
            *(
                node.lineno
                for node in ast.walk(tree)
                if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            ),
        )
    ]
    none_of(found, "a double loses the last wei of 1 ether + 1 wei; add a reason to FLOAT_ALLOWED or use integers")


def test_a_division_says_which_way_it_rounds() -> None:
    found = []
    for file, tree in pure():
        if file in FLOAT_ALLOWED:
            continue
        for scopes, node in scoped(tree, ()):
            if not isinstance(node, ast.BinOp | ast.AugAssign) or not isinstance(node.op, ast.FloorDiv):
                continue
            if "SECONDS_PER_DAY" in ast.unparse(node):  # a calendar day, not money
                continue
            said = " ".join(f"{ast.get_docstring(scope) or ''} {getattr(scope, 'name', '')}" for scope in scopes)
            if not re.search(r"round|floor|ceil|down|\bup\b|exact|bytes|digits|word|byte|length", said, re.IGNORECASE):
                found.append(f"{file}:{node.lineno}")
    none_of(found, "somebody gains from the last wei: name the rounding in the function or its docstring")


def scoped(node: ast.AST, scopes: tuple[ast.AST, ...]) -> Iterator[tuple[tuple[ast.AST, ...], ast.AST]]:
    """Every node with the definitions around it."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        scopes = (*scopes, node)
    for child in ast.iter_child_nodes(node):
        yield scopes, child
        yield from scoped(child, scopes)


def test_the_clock_is_read_at_the_edges_alone() -> None:
    clocks = {f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter") for unit in ("", "_ns")}
    clocks |= {"datetime.now", "datetime.utcnow"}
    found = [
        f"{file}:{line}"
        for file, tree in python("agent/")
        if not file.startswith(CLOCK_ALLOWED)
        for call, line in calls(tree)
        if call in clocks
    ]
    none_of(found, "time enters as events, or a run cannot be replayed")


def test_no_exception_is_swallowed_whole_but_at_an_outermost_boundary() -> None:
    found = []
    for file, tree in python("agent/"):
        lines = (ROOT / file).read_text().splitlines()
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                found.append(f"{file}:{node.lineno}")
            elif isinstance(node, ast.ExceptHandler) and ast.unparse(node.type) in ("Exception", "BaseException"):
                reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                if not reraises and "BLE001 -" not in lines[node.lineno - 1]:
                    found.append(f"{file}:{node.lineno}")
    none_of(found, "`except Exception` needs its reason on the line, as `# noqa: BLE001 - why`")


def test_every_module_says_what_it_is() -> None:
    found = [
        file
        for file, tree in python("agent/", "scripts/", "benchmarks/", "tests/")
        if tree.body and ast.get_docstring(tree) is None
    ]
    none_of(found, "a file begins with one sentence that says what it is for")


def test_no_file_is_named_after_nothing() -> None:
    found = [name(path) for path in tracked() if path.suffix == ".py" and path.stem in BANNED_NAMES]
    none_of(found, "such a name collects what has no home")


def test_no_module_outgrows_its_idea() -> None:
    found = [
        f"{name(path)}: {lines} lines"
        for path in tracked()
        if path.suffix == ".py" and name(path).startswith("agent/")
        if (lines := len(path.read_text().splitlines())) > LINES_MAX
    ]
    none_of(found, f"more than {LINES_MAX} lines: find the second idea and give it a file")


def test_locks_name_no_index_and_carry_hashes() -> None:
    for path in tracked():
        if path.suffix == ".lock":
            text = path.read_text()
            assert "://" not in text, f"{name(path)} names an address"
            entries = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
            assert entries and all(line.endswith("\\") for line in entries), f"{name(path)}: an entry has no hash"
        if path.name == "package-lock.json":
            packages = json.loads(path.read_text())["packages"]
            for package, entry in packages.items():
                assert "resolved" not in entry, f"{name(path)}: {package} names an address"
                assert not package or entry.get("integrity") or entry.get("link"), (
                    f"{name(path)}: {package} has no hash"
                )


def test_no_file_names_a_package_index() -> None:
    found = [f"{file}: {host}" for file, text in texts() for host in INDEX_HOSTS if host in text.lower()]
    none_of(found, "packages are asked for by name; which index answers is the machine's affair")


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{file}:{number}"
        for file, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    none_of(found, "such a path exists on one machine alone")


def test_nothing_is_left_to_do_in_the_code() -> None:
    found = [
        f"{file}:{number}"
        for file, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    none_of(found, "a promise in a comment is kept by nobody: do it, or write it down where work is planned")


def test_no_control_character_hides_in_a_text() -> None:
    found = [
        file
        for file, text in texts()
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    ]
    none_of(found, "what a reader cannot see can say something else than he reads")


def test_no_large_binary_is_in_the_repository() -> None:
    found = [
        name(path) for path in tracked() if path.suffix not in TEXT_SUFFIXES and path.stat().st_size > BINARY_BYTES_MAX
    ]
    none_of(found, "a binary over 1 MiB stays in the history for ever")


def test_archived_blocks_are_not_in_the_repository() -> None:
    found = [name(path) for path in tracked() if re.fullmatch(r"\d{7,9}\.json(\.gz)?", path.name)]
    none_of(found, "cases are read where they lie")


def test_scripts_are_python() -> None:
    found = [name(path) for path in tracked() if path.suffix in (".sh", ".bash")]
    none_of(found, "one language for scripts; .ci/run is the only other")


def test_every_code_is_explained_and_every_explanation_is_used() -> None:
    from agent.cli.codes import pages

    literal = re.compile(r"[\"']([EDR]_[A-Z][A-Z0-9_]+)[\"']")
    used: dict[str, str] = {}
    for file, text in texts():
        if file.startswith("agent/") and file.endswith(".py") and file != "agent/cli/codes.py":
            used |= dict.fromkeys(literal.findall(text), file)
    known = set(pages())
    none_of([f"{code} in {used[code]}" for code in sorted(set(used) - known)], "explain it in agent/cli/codes.py")
    none_of(sorted(known - set(used)), "explained, and never given")


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "scripts" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["cli.md", "config.md", "codes.md"])
def test_a_page_made_from_the_code_is_up_to_date(page: str, reference: ModuleType) -> None:
    written = (ROOT / "docs" / "reference" / page).read_text()
    assert written == reference.PAGES[page](), "run `make docs`"


def test_every_command_option_and_key_is_in_the_reference(reference: ModuleType) -> None:
    from agent.config.load import keys
    from tests.cli.leaves import LEAVES

    cli, config = reference.cli_page(), reference.config_page()
    for words, command in LEAVES.items():
        assert f"### mev-agent {' '.join(words)}\n" in cli
        for parameter in command.params:
            for option in parameter.opts:
                assert not option.startswith("--") or f"{option}" in cli
    for key, _ in keys():
        assert f"`{key.rpartition('.')[2]}`" in config


def test_links_between_documents_lead_somewhere() -> None:
    found = []
    for file, text in texts():
        if not file.endswith(".md"):
            continue
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            if not (ROOT / file).parent.joinpath(target).exists():
                found.append(f"{file}: {target}")
    none_of(found, "a link that leads nowhere")


def test_every_page_is_reached_from_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    found = [
        name(path)
        for path in tracked()
        if path.suffix == ".md" and name(path).startswith("docs/") and not name(path).startswith("docs/decisions/")
        if path.stem != "index" and f"({path.relative_to(ROOT / 'docs').as_posix()})" not in index
    ]
    none_of(found, "a page that no link leads to is read by nobody")


def test_documents_name_only_targets_and_commands_that_exist() -> None:
    from agent.cli.commands import COMMANDS

    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    found = []
    for file, text in texts():
        if file.endswith(".md"):
            found += [
                f"{file}: make {word}" for word in re.findall(r"^ {4}make ([a-z-]+)", text, re.M) if word not in targets
            ]
            found += [f"{file}: {w}" for w in re.findall(r"^ {4}mev-agent ([a-z-]+)", text, re.M) if w not in COMMANDS]
    none_of(found, "a command that does not exist")
