"""Faults as data: which knob, when, for whom, and how much of it.

[[fault]]
knob = "F6"                     # the ack is lost, the order lives
order = "a-*"
when = {after_n = 3, count = 1}

[[fault]]
knob = "F1"
kind = "fill"
parameters = {ms = 250}
when = {at_s = 5, for_s = 10, probability = 0.2, seed = 7}
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent.devnet.purpleflea.faults.knobs import KNOBS
from agent.errors import ConfigError


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a fault acts, counted over what its filters let through."""

    at_s: float | None = None
    """Not before so many seconds after the start. Happenings that nothing asks for happen then."""
    for_s: float | None = None
    """And not later than so many seconds after that."""
    after_n: int = 0
    """The first so many occasions pass unharmed."""
    count: int | None = None
    """At most so often."""
    probability: float = 1.0
    seed: int | None = None
    """Of this fault's own random stream; left out, it follows from the venue's seed and the fault's place."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One knob turned. Filters left out let everything through; `order` and `account` may end in `*`."""

    knob: str
    when: When = msgspec.field(default_factory=When)
    symbol: str | None = None
    order: str | None = None
    account: str | None = None
    kind: str | None = None
    """A frame's `type` or a request's `action`."""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


def read_faults(value: Iterable[Fault | Mapping[str, Any]]) -> tuple[Fault, ...]:
    """Check faults given as values. ConfigError names the first that is wrong."""
    found = []
    for index, each in enumerate(value):
        try:
            fault = each if isinstance(each, Fault) else msgspec.convert(each, Fault)
        except msgspec.ValidationError as error:
            raise _wrong(index, str(error)) from None
        knob = KNOBS.get(fault.knob)
        if knob is None:
            raise _wrong(index, f"there is no knob {fault.knob}")
        unknown = set(fault.parameters) - set(knob.parameters)
        if unknown:
            known = ", ".join(knob.parameters) or "none"
            raise _wrong(index, f"{fault.knob} has no parameter {', '.join(sorted(unknown))}; it has: {known}")
        mode = fault.parameters.get("mode")
        if knob.modes and mode is not None and mode not in knob.modes:
            raise _wrong(index, f"{fault.knob}: mode is one of {', '.join(knob.modes)}")
        if not 0.0 <= fault.when.probability <= 1.0:
            raise _wrong(index, "probability is from 0 to 1")
        if fault.parameters.get("lose_ms") and fault.when.at_s is None:
            raise _wrong(index, "lose_ms needs at_s: what will be forgotten is saved beforehand")
        found.append(fault)
    return tuple(found)


def load_faults(path: Path) -> tuple[Fault, ...]:
    """Faults of a TOML file (tables `fault`) or a JSON file (a list, or an object with `fault`). ConfigError."""
    try:
        data = path.read_bytes()
        value = tomllib.loads(data.decode()) if path.suffix == ".toml" else msgspec.json.decode(data)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the faults of {path} cannot be read: {error}") from None
    rows = value.get("fault", []) if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise ConfigError(f"{path} holds no list of faults", hint="[[fault]] in TOML, a list in JSON")
    return read_faults(rows)


def _wrong(index: int, text: str) -> ConfigError:
    return ConfigError(f"fault {index + 1}: {text}", hint="docs/reference/purpleflea-venue.md")
