"""`config show`, `check` and `schema`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.config.load import Loaded, keys, load_settings
from agent.config.model import File
from agent.eth.hexes import address_text
from agent.eth.units import Address
from agent.requests import Answer
from agent.settings import Reference


def show(files: Sequence[Path], overrides: Sequence[str]) -> Answer:
    """Every value with its origin; what is secret shows where it lies, not what it is."""
    loaded = load_settings(files, overrides=overrides)
    rows = [(key, text_of(value_of(loaded, key)), loaded.origins.get(key, "default")) for key, _ in keys()]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    text = "\n".join(f"{key:<{widths[0]}}  {value:<{min(widths[1], 60)}}  {origin}" for key, value, origin in rows)
    content = {key: {"value": value, "origin": origin} for key, value, origin in rows}
    return Answer(
        data={"files": list(loaded.files), "hash": config_hash(loaded), "values": content},
        text=text,
        mode=loaded.settings.mode,
    )


def check(files: Sequence[Path], overrides: Sequence[str]) -> Answer:
    """Passes, or raises the ConfigError that lists every mistake."""
    loaded = load_settings(files, overrides=overrides)
    named = ", ".join(loaded.files) or "defaults alone"
    content = {"files": list(loaded.files), "hash": config_hash(loaded)}
    return Answer(data=content, text=f"ok: {named}", mode=loaded.settings.mode)


def schema() -> Answer:
    """The JSON Schema of the file; the same document with and without the envelope around it."""
    document = File.model_json_schema(by_alias=True)
    return Answer(data=document, text=json.dumps(document, indent=2))


def config_hash(loaded: Loaded) -> str:
    """SHA-256 of the resolved configuration with its secrets as references: for journals and reports."""
    resolved = {key: text_of(value_of(loaded, key)) for key, _ in keys()}
    return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()


def value_of(loaded: Loaded, key: str) -> Any:
    value: Any = loaded.settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def text_of(value: Any) -> str:
    """A value as one would write it in the file."""
    match value:
        case None:
            return "(not set)"
        case bool() | int():
            return str(value).lower()
        case str():
            return json.dumps(value)
        case bytes():
            return f'"{address_text(Address(value))}"'
        case Reference():
            return f"{value} ({value.kind}, not shown)" if value.kind != "literal" else f'"{value}"'
        case tuple():
            return f"[{', '.join(text_of(item) for item in value)}]"
        case _:
            return (
                "{" + ", ".join(f"{name} = {text_of(getattr(value, name))}" for name in value.__struct_fields__) + "}"
            )
