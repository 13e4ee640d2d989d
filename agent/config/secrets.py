"""Where a reference leads: an environment variable, a file, the system's keyring.

Keystores are opened by what signs, never here.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from agent.errors import ConfigError
from agent.settings import Reference, Settings


def resolve(reference: Reference, *, key: str) -> str:
    """The text that `reference` stands for; `key` names it in the message, which never holds the text."""
    if reference.kind == "literal":
        return reference.name
    if reference.kind == "env":
        value = os.environ.get(reference.name, "")
        if not value:
            raise ConfigError(f"{key}: the variable {reference.name} is not set", hint=f"export {reference.name}=…")
        return value
    if reference.kind == "file":
        try:
            value = Path(reference.name).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(
                f"{key}: cannot read {reference.name}: {reason}", hint="mend the path or its rights"
            ) from None
        if not value:
            raise ConfigError(f"{key}: {reference.name} is empty", hint="write the value into it")
        return value
    if reference.kind == "keyring":
        return _from_keyring(reference.name, key)
    raise ConfigError(f"{key}: a keystore is opened by the signer alone", hint="this is a defect; please report it")


def _from_keyring(name: str, key: str) -> str:
    """The password of SERVICE/USER. The package is not among ours: who wants a keyring has one for their system."""
    service, _, user = name.partition("/")
    try:
        keyring: Any = importlib.import_module("keyring")
        value = keyring.get_password(service, user)
    except ImportError:
        raise ConfigError(
            f"{key}: the package keyring is not installed", hint="pip install keyring, or use file: or env:"
        ) from None
    except Exception as error:  # noqa: BLE001 - every system's keyring has errors of its own
        raise ConfigError(
            f"{key}: the keyring gives nothing: {type(error).__name__}", hint="unlock it, or use file: or env:"
        ) from None
    if not value:
        raise ConfigError(f"{key}: the keyring has no {service}/{user}", hint=f"keyring set {service} {user}")
    return str(value)


def node_url(settings: Settings) -> str:
    """The HTTP address of the configured node."""
    if settings.onchain.http_url is None:
        raise ConfigError("no node is named", hint="give --rpc-url, or set onchain.http_url", where="onchain.http_url")
    return resolve(settings.onchain.http_url, key="onchain.http_url")
