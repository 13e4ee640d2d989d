"""The one object through which a command writes: results to stdout, everything else to stderr.

With `--json` a result is exactly one document, the envelope
`{"schema": "mev-agent/<name>/1", "ok", "mode", "data", "warnings", "errors"}`; a failure is one too.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, Any

from agent.errors import AgentError

if TYPE_CHECKING:  # msgspec is not needed for --help
    from agent.requests import Answer


class ReaderGone(BaseException):
    """Whoever read stdout has closed it. A BaseException, for Click turns BrokenPipeError into exit code 1."""


JSON_INT_MAX = 2**53
"""Above this a reader that knows only doubles loses digits."""


class Output:
    """Where one command writes; `name` is the word in its schema."""

    def __init__(
        self,
        name: str,
        *,
        is_json: bool,
        is_quiet: bool = False,
        color: str = "auto",
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> None:
        self.name = name
        self.is_json = is_json
        self.is_quiet = is_quiet
        self._color = color
        self._stdout = stdout
        self._stderr = stderr

    def show(self, answer: Answer) -> int:
        """Write the result; returns the exit code."""
        if self.is_json:
            self._document(
                answer.schema or self.schema,
                is_ok=answer.exit_code == 0,
                mode=answer.mode,
                content=answer.data,
                warnings=list(answer.warnings),
                errors=[],
            )
        else:
            for warning in answer.warnings:
                self.say(f"warning: {warning}")
            if answer.text:
                self._write(self._stdout or sys.stdout, answer.text)
        return answer.exit_code

    def fail(self, error: AgentError) -> int:
        """Write a failure; returns the exit code."""
        if self.is_json:
            row = {"code": error.code, "message": error.message, "hint": error.hint, "where": error.where}
            self._document(self.schema, is_ok=False, mode=None, content=None, warnings=[], errors=[row])
        lines = [f"error: {error.message}"]
        if error.where:
            lines.append(f"  where: {error.where}")
        if error.hint:
            lines.append(f"  what to do: {error.hint}")
        self._write(self._stderr or sys.stderr, "\n".join(lines))
        return error.exit_code

    def say(self, line: str) -> None:
        """One line of progress or warning for a person."""
        if not self.is_quiet:
            self._write(self._stderr or sys.stderr, line)

    @property
    def schema(self) -> str:
        return f"mev-agent/{self.name}/1"

    @property
    def has_color(self) -> bool:
        """Whether stdout may carry colour: never with --json, NO_COLOR or a dumb terminal."""
        if self.is_json or self._color == "never":
            return False
        if self._color == "always":
            return True
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        stream = self._stdout or sys.stdout
        return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()

    def _document(
        self,
        schema: str,
        *,
        is_ok: bool,
        mode: str | None,
        content: Any,
        warnings: list[str],
        errors: list[dict[str, str]],
    ) -> None:
        import json

        envelope = {
            "schema": schema,
            "ok": is_ok,
            "mode": mode,
            "data": plain(content),
            "warnings": warnings,
            "errors": errors,
        }
        self._write(self._stdout or sys.stdout, json.dumps(envelope, ensure_ascii=False))

    @staticmethod
    def _write(stream: IO[str], text: str) -> None:
        try:
            stream.write(text if text.endswith("\n") else text + "\n")
            stream.flush()
        except BrokenPipeError:
            raise ReaderGone from None


def plain(value: Any) -> Any:
    """JSON's own types: bytes as 0x hex, integers beyond 2^53 as decimal strings, structs as objects."""
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return value if -JSON_INT_MAX <= value <= JSON_INT_MAX else str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "__struct_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    return str(value)
