"""`mev-agent init`: the file with every key at its default, commented out, under its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from agent.config.load import DEFAULT_FILE
from agent.config.model import File, sections
from agent.errors import SetupError, UsageError
from agent.eth.hexes import address_text
from agent.eth.units import Address
from agent.requests import Answer


def write(folder: Path) -> Answer:
    """Write `mev-agent.toml` into `folder`; refuse to write over one."""
    path = folder / DEFAULT_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "x") as file:
            file.write(text())
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="name another folder, or remove it first") from None
    except OSError as error:
        raise SetupError(
            f"cannot write {path}: {error.strerror}", hint="choose a folder that you may write to"
        ) from None
    shown = f"wrote {path}\nnext: mev-agent config check --config {path}"
    return Answer(data={"path": str(path)}, text=shown)


def text() -> str:
    """The whole template; it loads, and gives the defaults."""
    tables = sections()
    lines = ["# mev-agent: every key with its default. Remove the # before a key to change it.", ""]
    lines += ["schema = 1", ""]
    for name, field in File.model_fields.items():
        if name not in tables and name != "schema_version":
            lines += _key(field.alias or name, field)
    for name, model in tables.items():
        lines += ["", f"[{name}]", f"# {' '.join((model.__doc__ or '').split())}", ""]
        for key, field in model.model_fields.items():
            lines += _key(key, field)
    return "\n".join(lines).rstrip() + "\n"


def _key(name: str, field: FieldInfo) -> list[str]:
    return [f"# {field.description}", f"# {name} = {written(name, field.get_default())}", ""]


def written(name: str, value: Any) -> str:
    """A default as TOML; an example where there is none."""
    examples = {
        "ws_url": '"env:ETH_WS_URL"',
        "http_url": '"env:ETH_RPC_URL"',
        "signer": '"keystore:hot1"',
        "relay_identity": '"keystore:relay1"',
        "executor": '"0x0000000000000000000000000000000000000000"',
        "api_key": '"file:/run/credentials/purpleflea_api_key"',
        "guard_key": '"file:/run/credentials/purpleflea_guard_key"',
        "agent_id": '"ag_0123456789ab"',
        "key_id": '"key_0123456789ab"',
        "paths": '[{ name = "time", path = "/v1/time" }]',
        "producers": '[{ name = "model", notional_atoms_per_day = 1000000000 }]',
        "rates": '[{ currency = "PFT", account_atoms_per_unit = 1000000 }]',
        "endpoints": '[{ name = "local", url = "http://127.0.0.1:9000" }]',
    }
    if value is None or value == []:
        return examples[name]
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return f'"{address_text(Address(value))}"'
    if isinstance(value, list):
        return f"[{', '.join(written(name, item) for item in value)}]"
    if name.endswith(("_wei", "_wei_per_day")):
        if 10**9 <= value < 10**15 and value % 10**9 == 0:
            return f'"{value // 10**9} gwei"'
        return f'"{_ether(value)} ether"' if value >= 10**12 else str(value)
    return str(value)


def _ether(wei: int) -> str:
    """Exact decimal ether."""
    whole, rest = divmod(wei, 10**18)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")
