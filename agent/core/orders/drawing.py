"""The table as a Mermaid state diagram and as Markdown, for its page in the documentation."""

from __future__ import annotations

from agent.core.orders.table import FINAL, TABLE, TABLES, OrderState

HARMFUL = frozenset({"H"})


DIAGRAM = "<!-- drawn: diagram -->"
CELLS = "<!-- drawn: table -->"
END = "<!-- drawn: end -->"


def drawn(page: str) -> str:
    """The page with what lies between its marks drawn anew. Raises ValueError where a mark is missing."""
    page = _between(page, DIAGRAM, f"```mermaid\n{diagram()}\n```")
    return _between(page, CELLS, "\n\n".join(tables()))


def _between(page: str, mark: str, text: str) -> str:
    begin = page.index(mark) + len(mark)
    return f"{page[:begin]}\n\n{text}\n\n{page[page.index(END, begin) :]}"


def diagram() -> str:
    """Every way from one state to another that does not halt, with the events that take it."""
    ways: dict[tuple[OrderState, str], list[str]] = {}
    for event, row in TABLE.items():
        for state, cell in row.items():
            for variant in cell:
                if variant.next_state is state or variant.is_impossible or HARMFUL & set(variant.effects):
                    continue
                target = "ended" if variant.next_state is None else _drawn(variant.next_state)
                name = event if variant.when is None else f"{event} [{variant.when}]"
                names = ways.setdefault((state, target), [])
                if name not in names:
                    names.append(name)
    lines = ["stateDiagram-v2", "    [*] --> QUEUED"]
    lines += [f"    {_drawn(state)} --> {target}: {', '.join(names)}" for (state, target), names in ways.items()]
    lines += [f"    {_drawn(state)} --> [*]" for state in OrderState if state in FINAL]
    return "\n".join(lines)


def tables() -> list[str]:
    """The table in three parts, one after the other, as Markdown."""
    return [_markdown(table) for table in TABLES]


def _drawn(state: OrderState) -> str:
    return state.name


def _markdown(table: str) -> str:
    header, *rows = ([word.strip() for word in line.split("|")] for line in table.strip().splitlines())
    columns = [header[0], *(_drawn(OrderState(name)) for name in header[1:])]
    lines = [columns, ["---"] * len(columns), *([f"`{row[0]}`", *row[1:]] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
