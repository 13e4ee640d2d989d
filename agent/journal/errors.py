"""How a journal fails: each a type of its own, as each asks for something else of the person."""

from __future__ import annotations

from agent.errors import SetupError


class CorruptJournal(SetupError):
    """What cannot be what was written; `sequence` is the first record that is missing or bad."""

    code = "E_JOURNAL_CORRUPT"

    def __init__(self, message: str, *, path: str, sequence: int) -> None:
        super().__init__(
            message, where=path, hint="keep the file; `mev-agent journal verify` tells how much of it is whole"
        )
        self.sequence = sequence


class UnknownFormat(SetupError):
    """A journal, a record or a snapshot of a version that this code does not read."""

    code = "E_JOURNAL_FORMAT"

    def __init__(self, message: str, *, path: str, version: int, hint: str) -> None:
        super().__init__(message, where=path, hint=hint)
        self.version = version


class UnknownKind(SetupError):
    """A record that is whole, but whose event or effect this code has no type for."""

    code = "E_JOURNAL_KIND"

    def __init__(self, message: str, *, path: str, sequence: int, kind: str) -> None:
        super().__init__(message, where=path, hint="read it with the version of mev-agent that wrote it")
        self.sequence = sequence
        self.kind = kind


class JournalInUse(SetupError):
    """Another process writes here."""

    code = "E_JOURNAL_IN_USE"

    def __init__(self, path: str) -> None:
        super().__init__(
            "another process writes this journal", where=path, hint="stop it first, or name another folder"
        )


class JournalFailed(SetupError):
    """Nothing may be stepped or sent any more: what the disk holds is unknown, or there is no room left."""

    code = "E_JOURNAL_POISONED"

    def __init__(self, reason: str, *, path: str, is_first: bool = False) -> None:
        message = f"cannot write the journal: {reason}" if is_first else f"the journal failed earlier: {reason}"
        super().__init__(
            message, where=path, hint="mend the disk or make room, then start again; nothing is sent without a journal"
        )
        self.reason = reason


class RecordTooLong(SetupError):
    """A record that no segment can hold; nothing of it was written."""

    code = "E_JOURNAL_RECORD"

    def __init__(self, *, length: int, length_max: int, path: str) -> None:
        super().__init__(
            f"a record of {length} bytes; at most {length_max} fit", where=path, hint="report it: no event is that long"
        )
        self.length = length
        self.length_max = length_max


class Diverged(SetupError):
    """The core does not give the effects that were recorded: neither may be trusted, so nothing is traded."""

    code = "E_JOURNAL_DIVERGED"

    def __init__(self, message: str, *, path: str, sequence: int, recorded: str, replayed: str) -> None:
        super().__init__(message, where=path, hint="keep the journal and report it with both answers")
        self.sequence = sequence
        self.recorded = recorded
        self.replayed = replayed


class CodeChanged(SetupError):
    """Other code wrote this journal, and it ends in the middle: only that code can finish it."""

    code = "E_JOURNAL_CODE"

    def __init__(self, *, path: str, written_by: str, here: str) -> None:
        super().__init__(
            f"the journal was written by code {written_by}, this is {here}, and the run did not end in good order",
            where=path,
            hint="start the version that wrote it and stop it; what it leaves at the end any version starts from",
        )
