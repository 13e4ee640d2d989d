"""From layers to settings, with every mistake at once and the place of each."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from agent.config.lines import line_of
from agent.config.model import File, sections
from agent.errors import ConfigError
from agent.settings import Settings

PREFIX = "MEV_AGENT__"
DEFAULT_FILE = "mev-agent.toml"
OTHER_VARIABLES = frozenset({"MEV_AGENT__KEYSTORE_PASSWORD"})
"""Ours, and not keys of the configuration: read by what needs them, and never shown."""

KeyPath = tuple[str | int, ...]


class Origin(msgspec.Struct, frozen=True):
    """Which layer gave a value: a file with its text, a variable, an option."""

    label: str
    text: str = ""
    is_file: bool = False

    def place(self, path: Sequence[str | int]) -> str:
        """`file:line`, or the variable or option itself."""
        if not self.is_file:
            return self.label
        line = line_of(self.text, path)
        return self.label if line is None else f"{self.label}:{line}"


class Loaded(msgspec.Struct, frozen=True):
    """Checked settings, and for each key that is not a default the place it came from."""

    settings: Settings
    model: Any
    """The pydantic model, for showing and hashing; nothing outside this package reads it."""
    origins: dict[str, str]
    files: tuple[str, ...]


class Mistake(msgspec.Struct, frozen=True):
    """One line of the message."""

    place: str
    subject: str
    problem: str

    def __str__(self) -> str:
        return f"{self.place}  {self.subject} - {self.problem}" if self.subject else f"{self.place}  {self.problem}"


class Layers:
    """The merged document, and for each path the layer that had the last word."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.origins: dict[KeyPath, Origin] = {}
        self.mistakes: list[Mistake] = []

    def add(self, document: Mapping[str, Any], origin: Origin) -> None:
        """Tables merge, everything else replaces; `[x-*]` tables are the user's own and pass unread."""
        self._merge(self.document, {k: v for k, v in document.items() if not k.startswith("x-")}, (), origin)

    def _merge(self, into: dict[str, Any], given: Mapping[str, Any], path: KeyPath, origin: Origin) -> None:
        for key, value in given.items():
            here = (*path, key)
            self.origins[here] = origin
            if isinstance(value, dict) and isinstance(into.get(key, {}), dict):
                self._merge(into.setdefault(key, {}), value, here, origin)
            else:
                into[key] = value

    def origin(self, path: KeyPath) -> Origin | None:
        """The layer of the deepest part of the path that any layer gave."""
        for depth in range(len(path), 0, -1):
            if path[:depth] in self.origins:
                return self.origins[path[:depth]]
        return None


def load_settings(
    files: Sequence[Path] = (), *, overrides: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Loaded:
    """Read all layers; raise one ConfigError that lists every mistake."""
    layers = Layers()
    names = _add_files(layers, files)
    _add_environment(layers, os.environ if environment is None else environment)
    _add_overrides(layers, overrides)
    model: File | None = None
    try:
        model = File.model_validate(layers.document)
    except ValidationError as error:
        layers.mistakes += [
            _mistake(detail, layers) for detail in error.errors(include_url=False, include_context=False)
        ]
    if layers.mistakes or model is None:
        raise _config_error(layers.mistakes)
    plain = model.model_dump(by_alias=True)
    origins = {
        ".".join(map(str, path)): origin.place(path)
        for path, origin in layers.origins.items()
        if not isinstance(_at(layers.document, path), dict)
    }
    return Loaded(settings=msgspec.convert(plain, Settings), model=model, origins=origins, files=names)


def default_settings() -> Settings:
    """What holds where no layer says otherwise."""
    return msgspec.convert(File().model_dump(by_alias=True), Settings)


def _add_files(layers: Layers, files: Sequence[Path]) -> tuple[str, ...]:
    if not files and Path(DEFAULT_FILE).is_file():
        files = (Path(DEFAULT_FILE),)
    for file in files:
        try:
            text = file.read_bytes().decode()
            layers.add(tomllib.loads(text), Origin(str(file), text, is_file=True))
        except FileNotFoundError:
            layers.mistakes.append(Mistake(str(file), "", "there is no such file; `mev-agent init` writes one"))
        except OSError as error:
            layers.mistakes.append(Mistake(str(file), "", f"cannot be read: {error.strerror}"))
        except UnicodeDecodeError:
            layers.mistakes.append(Mistake(str(file), "", "is not UTF-8 text"))
        except tomllib.TOMLDecodeError as error:
            # tomllib's message ends in "(at line 3, column 9)"; the line belongs into the place.
            problem, _, position = str(error).partition(" (at ")
            line = "".join(c for c in position.partition(",")[0] if c.isdigit()) or str(text.count("\n") + 1)
            layers.mistakes.append(Mistake(f"{file}:{line}", "", f"not TOML: {problem}"))
    return tuple(map(str, files))


def _add_environment(layers: Layers, environment: Mapping[str, str]) -> None:
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            path = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
            _add_text(layers, path, environment[name], Origin(f"env {name}"))


def _add_overrides(layers: Layers, overrides: Sequence[str]) -> None:
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            layers.mistakes.append(
                Mistake(f"--set {key[:64]}", "", "must be KEY=VALUE, as risk.max_bundles_per_slot=4")
            )
            continue
        _add_text(layers, tuple(key.strip().split(".")), text, Origin(f"--set {key.strip()}"))


def _add_text(layers: Layers, path: tuple[str, ...], text: str, origin: Origin) -> None:
    """One value given as text: TOML where the key's type takes it, else the text itself."""
    value: Any = _typed(path, text)
    for key in reversed(path):
        value = {key: value}
    layers.add(value, origin)


def _typed(path: tuple[str, ...], text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")["value"] if "\n" not in text else text
    except tomllib.TOMLDecodeError:
        return text
    model: type[BaseModel] = File if len(path) == 1 else sections().get(path[0], File)
    field = {field.alias or name: field for name, field in model.model_fields.items()}.get(path[-1])
    if field is not None:
        adapter: TypeAdapter[Any] = TypeAdapter(cast(Any, field.annotation), config={"arbitrary_types_allowed": True})
        try:
            adapter.validate_python(text, strict=True)
            return text
        except ValidationError:
            pass
    return parsed


def _mistake(detail: ErrorDetails, layers: Layers) -> Mistake:
    path: KeyPath = tuple(detail["loc"])
    origin = layers.origin(path)
    place = origin.place(path) if origin is not None else "(no layer)"
    name = ".".join(map(str, path))
    if detail["type"] == "extra_forbidden":
        return Mistake(place, name, f"unknown key{_suggestion(path)}")
    if detail["type"] == "missing":
        return Mistake(place, name, "is missing")
    if detail["type"] in ("agent_value", "literal_error"):
        problem = detail["msg"].replace("Input should be ", "must be ")
    else:
        problem = detail["msg"][:1].lower() + detail["msg"][1:].replace("Input should be", "must be")
        problem = problem.replace("input should be", "must be")
    return Mistake(place, f"{name}{_shown(detail, path)}", problem)


def _shown(detail: ErrorDetails, path: KeyPath) -> str:
    """The offending value, but never one that may be a secret."""
    value = detail["input"]
    if any(word in str(path[-1] if path else "") for word in ("key", "signer", "identity", "url")):
        return ""
    return f" = {value!r}"[:80] if isinstance(value, str | int | float | bool) else ""


def _suggestion(path: KeyPath) -> str:
    tables = sections()
    siblings = list(tables[str(path[0])].model_fields) if len(path) > 1 and path[0] in tables else []
    if path[:2] == ("onchain", "endpoints") and len(path) > 2:
        siblings = ["name", "url"]
    if len(path) == 1:
        siblings = [field.alias or name for name, field in File.model_fields.items()]
    close = difflib.get_close_matches(str(path[-1]), siblings, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    elsewhere = [f"{table}.{path[-1]}" for table, model in tables.items() if path[-1] in model.model_fields]
    if elsewhere:
        return f"; did you mean {elsewhere[0]}?"
    return f"; known here: {', '.join(siblings)}" if siblings else ""


def _config_error(mistakes: Sequence[Mistake]) -> ConfigError:
    lines = list(dict.fromkeys(str(mistake) for mistake in sorted(mistakes, key=_place_order)))
    count = f"{len(lines)} problems" if len(lines) > 1 else "1 problem"
    return ConfigError(
        "\n  ".join([f"{count} in the configuration", *lines]),
        hint="correct them; `mev-agent config check` looks again, docs/reference/config.md lists every key",
    )


def _place_order(mistake: Mistake) -> tuple[str, int, str]:
    """As the reader goes through them: by layer, then from the top of the file down."""
    label, _, line = mistake.place.rpartition(":")
    return (label, int(line), mistake.subject) if line.isdigit() else (mistake.place, 0, mistake.subject)


def _at(document: Any, path: KeyPath) -> Any:
    for key in path:
        document = document[key]
    return document


def keys() -> Iterator[tuple[str, Any]]:
    """Every key of the file with its field, in the file's order."""
    tables = sections()
    for name, field in File.model_fields.items():
        if name in tables:
            yield from ((f"{name}.{key}", inner) for key, inner in tables[name].model_fields.items())
        else:
            yield field.alias or name, field


def choices(annotation: Any) -> tuple[Any, ...]:
    """The words that a key may be, where they are few."""
    return get_args(annotation) if getattr(annotation, "__origin__", None) is not None else ()
