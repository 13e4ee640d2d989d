"""Keystores open with their password and tell nothing otherwise."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from eth_account import Account

from agent.errors import ConfigError
from agent.eth.keys import Signer
from agent.venues.onchain.keystore import load_keystore

KEY = bytes([0x46]) * 32


@pytest.fixture(scope="module")
def encrypted() -> str:
    return json.dumps(Account.encrypt(KEY, "right", kdf="pbkdf2", iterations=2))


@pytest.fixture
def keystore(tmp_path: Path, encrypted: str) -> Path:
    path = tmp_path / "key.json"
    path.write_text(encrypted)
    path.chmod(0o600)
    return path


def test_the_right_password_gives_the_signer(keystore: Path) -> None:
    limit = sys.getrecursionlimit()
    assert load_keystore(keystore, "right").address == Signer(KEY).address
    assert sys.getrecursionlimit() == limit


def test_the_wrong_password_gives_one_message_without_any_secret(keystore: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_keystore(keystore, "wr0ng")
    assert caught.value.code == "E_KEYSTORE" and caught.value.__cause__ is None
    assert "wr0ng" not in str(caught.value) and KEY.hex() not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_keystore_that_others_may_touch_is_refused(keystore: Path, mode: int) -> None:
    keystore.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load_keystore(keystore, "right")
    assert caught.value.code == "E_KEYSTORE_MODE" and "chmod 600" in caught.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 50_000, '{"crypto": 5, "version": 3}', '{"version": 3}'])
def test_what_is_no_keystore_is_refused(keystore: Path, content: str) -> None:
    keystore.write_text(content)
    with pytest.raises(ConfigError):
        load_keystore(keystore, "right")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_keystore(tmp_path / "none.json", "right")
