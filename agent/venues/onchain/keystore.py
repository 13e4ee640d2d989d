"""Keys at rest: encrypted keystores (Web3 Secret Storage v3) and nothing else for real money.

eth-account does the cryptography and is imported only when a keystore is opened: it costs start-up time, and
one of its dependencies raises Python's recursion limit so far that hostile nested input could end the process,
so the limit is put back.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from agent.errors import ConfigError
from agent.eth.keys import Signer

MAX_KEYSTORE_BYTES = 65_536


def load_keystore(path: Path, password: str) -> Signer:
    """The signer behind an encrypted keystore; ConfigError, without a word of its content, when it cannot be opened."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(
                f"other users may read the keystore {path}", code="E_KEYSTORE_MODE", hint=f"chmod 600 {path}"
            )
        raw = path.read_bytes()[: MAX_KEYSTORE_BYTES + 1]
    except OSError as error:
        raise ConfigError(
            f"cannot read the keystore {path}: {error.strerror}", code="E_KEYSTORE", hint="name an existing file"
        ) from None
    try:
        fields = orjson.loads(raw)
        if not isinstance(fields, dict) or len(raw) > MAX_KEYSTORE_BYTES:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"{path} is no keystore", code="E_KEYSTORE", hint="make one with `geth account new`"
        ) from None
    limit = sys.getrecursionlimit()
    try:
        from eth_account import Account

        private_key = bytes(Account.decrypt(fields, password))
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
        # The cause is dropped on purpose: it may hold a part of the key or the password.
        raise ConfigError(
            f"the keystore {path} does not open with this password", code="E_KEYSTORE", hint="check file and password"
        ) from None
    finally:
        sys.setrecursionlimit(limit)
    return Signer(private_key)
