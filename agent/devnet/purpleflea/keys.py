"""API keys: who may do what. A secret is shown once; what is kept is its digest.

Scopes: `trade` places, amends and cancels; `read` reads; `cancel` cancels and arms what cancels; `revoke` deletes keys
and nothing else; `reduce` places reduce-only orders. `owner` is the account's login, the only one that makes keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

SCOPES = frozenset({"trade", "read", "cancel", "revoke", "reduce"})
OWNER = "owner"
ROTATION_GRACE_NS = 60_000_000_000
"""How long the old secret of a rotated key still opens the door."""


class Key(msgspec.Struct, kw_only=True, eq=False):
    """One key of one account."""

    key_id: str
    account: str
    label: str
    scopes: frozenset[str]
    ip_allow: tuple[str, ...] = ()
    expires_ns: int | None = None
    """Wall time."""
    created_ns: int = 0
    is_deleted: bool = False
    dies_at_ns: int | None = None
    """Monotonic; set where a fault keeps a deleted key alive for a while."""

    def may(self, *scopes: str) -> bool:
        """True where the key has any of the scopes."""
        return not self.scopes.isdisjoint(scopes)


class KeyStore:
    """All keys. Secrets are functions of the seed and a count, so that a run can be repeated."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._secrets = 0
        self.keys: dict[str, Key] = {}
        self._by_digest: dict[bytes, tuple[Key, int | None]] = {}

    def create(
        self,
        account: str,
        label: str,
        scopes: Iterable[str],
        *,
        ip_allow: tuple[str, ...] = (),
        expires_ns: int | None = None,
        now_ns: int = 0,
    ) -> tuple[Key, str]:
        """A new key and its secret."""
        key = Key(
            key_id=f"key_{len(self.keys) + 1:06d}",
            account=account,
            label=label,
            scopes=frozenset(scopes),
            ip_allow=ip_allow,
            expires_ns=expires_ns,
            created_ns=now_ns,
        )
        self.keys[key.key_id] = key
        return key, self._new_secret(key)

    def find(self, secret: str, *, mono_ns: int, wall_ns: int) -> Key | None:
        """The live key of this secret."""
        key, until_ns = self._by_digest.get(_digest(secret), (None, None))
        if key is None or (until_ns is not None and mono_ns >= until_ns):
            return None
        if key.expires_ns is not None and wall_ns >= key.expires_ns:
            return None
        if key.is_deleted and (key.dies_at_ns is None or mono_ns >= key.dies_at_ns):
            return None
        return key

    def rotate(self, key: Key, mono_ns: int) -> str:
        """A new secret; the old one works for a minute more."""
        for digest, (owner, until_ns) in list(self._by_digest.items()):
            if owner is key and until_ns is None:
                self._by_digest[digest] = (key, mono_ns + ROTATION_GRACE_NS)
        return self._new_secret(key)

    def of(self, account: str) -> list[Key]:
        return [key for key in self.keys.values() if key.account == account and not key.is_deleted]

    def _new_secret(self, key: Key) -> str:
        self._secrets += 1
        secret = "pf_sim_" + hashlib.sha256(f"purpleflea {self._seed} {self._secrets}".encode()).hexdigest()[:48]
        self._by_digest[_digest(secret)] = (key, None)
        return secret


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
