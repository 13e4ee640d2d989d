"""What `mev-agent guard reset` looks at before a person may allow trading again."""

from __future__ import annotations

from pathlib import Path

from agent.guard.configuration import Configuration
from agent.guard.resetting import book_problems, key_problems
from agent.session.held import held, journal_beside
from agent.session.named_secret import secret_of


def unready(configuration: Configuration | None, place: Path, new_key: str | None, run: Path | None) -> list[str]:
    """What is not so, or cannot be seen, of the key and the books; nothing where the guard had no venue."""
    if configuration is None:
        return ["which keys the guard revoked is not known: name its configuration by --config"]
    venue = configuration.venue
    if venue is None:
        return []
    found: list[str] = []
    if new_key is None:
        found.append("the agent's new key is not named: --new-key env:NAME or file:PATH")
    else:
        found += key_problems(venue, secret_of(new_key, key="--new-key"))
    journal = run or journal_beside(place)
    if journal is None:
        return [*found, "no journal of an account lies here: name its folder by --run"]
    books = held(journal)
    if books.problem:
        return [*found, f"the journal in {journal} is not sound: {books.problem}"]
    return found + book_problems(venue, books.quantities, books.exec_seq)
