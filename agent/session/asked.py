"""How a run was asked for, kept beside its journal, so that the same world can be made again.

Nothing secret is in it: of a fork or a live chain only that it was one, as the address of a node may hold a key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from agent.engine.settings import HuntSettings
from agent.errors import SetupError
from agent.journal.segments import FOLDER_NAME as JOURNAL_NAME
from agent.requests import RunRequest, WorldKind, WorldRequest
from agent.session.files import write_json

FILE_NAME = "asked.json"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a request that decides what happens, and the settings of the hunt. Paths are absolute."""

    world: WorldKind
    case: str | None
    seed: int
    blocks: int | None
    leave_out: tuple[bytes, ...]
    builder_order: Literal["archived", "profit", "gas-price"] | None
    hunt: HuntSettings

    @property
    def request(self) -> RunRequest:
        """The request again; what was assumed and asked for by name is in `hunt`."""
        return RunRequest(
            world=WorldRequest(kind=self.world, case=None if self.case is None else Path(self.case)),
            blocks=self.blocks,
            leave_out=self.leave_out,
            builder_order=self.builder_order,
            seed=self.seed,
        )


def remember(folder: Path, request: RunRequest, hunt: HuntSettings) -> None:
    """Write it before the run begins, so that even one that broke off can be repeated.

    A folder with a journal is another run's, and refused a moment later: its own file stays as it is.
    """
    if (folder / JOURNAL_NAME).exists():
        return
    case = request.world.case
    asked = Asked(
        world=request.world.kind,
        case=None if case is None else str(case.resolve()),
        seed=request.seed,
        blocks=request.blocks,
        leave_out=request.leave_out,
        builder_order=request.builder_order,
        hunt=hunt,
    )
    write_json(folder / FILE_NAME, msgspec.to_builtins(asked))


def recall(folder: Path) -> Asked:
    """SetupError where the run left no such file, or one that cannot be read."""
    path = folder / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Asked)
    except OSError as error:
        raise SetupError(
            f"how the run was asked for is not known: {error.strerror}",
            where=str(path),
            hint="leave --deep out: the decisions can be replayed from the journal alone",
        ) from None
    except msgspec.MsgspecError as error:
        raise SetupError(
            f"how the run was asked for cannot be read: {error}", where=str(path), hint="leave --deep out"
        ) from None
