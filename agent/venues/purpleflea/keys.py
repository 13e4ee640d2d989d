"""The account's keys: made, listed, deleted. They are never rotated, since a rotated key goes on working for a while.

Making one takes the owner's login, which no agent or guard holds; deleting one takes the scope `revoke` and works at once.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from agent.errors import ProtocolError
from agent.venues.purpleflea.credentials import AuthForm, Credentials
from agent.venues.purpleflea.rest import PurpleFleaRest

Scope = Literal["trade", "read", "cancel", "revoke", "reduce"]


class KeyInfo(msgspec.Struct, frozen=True):
    """A key as the venue lists it; its secret is not in it."""

    id: str
    label: str = ""
    scopes: tuple[str, ...] = ()
    expires_ns: int | None = None


class _Made(msgspec.Struct, frozen=True):
    id: str
    secret: str


class _List(msgspec.Struct, frozen=True):
    keys: tuple[KeyInfo, ...]


async def create_key(
    rest: PurpleFleaRest,
    *,
    label: str,
    scopes: tuple[Scope, ...],
    ip_allow: tuple[str, ...] = (),
    expires_ns: int | None = None,
    form: AuthForm = "x-api-key",
) -> tuple[str, Credentials]:
    """A new key's id and the key, which is shown this once. Raises as the requests do; OutcomeUnknown: list them."""
    body: dict[str, object] = {"label": label, "scopes": scopes, "ip_allow": ip_allow}
    if expires_ns is not None:
        body["expires_ns"] = expires_ns
    answer = await rest.change("POST", "keys", body=msgspec.json.encode(body))
    try:
        made = msgspec.json.decode(answer.body, type=_Made)
        return made.id, Credentials(made.secret, form)
    except (msgspec.MsgspecError, ValueError):
        raise ProtocolError("not a new key", peer="purpleflea") from None


async def list_keys(rest: PurpleFleaRest) -> tuple[KeyInfo, ...]:
    answer = await rest.get("keys")
    try:
        return msgspec.json.decode(answer.body, type=_List).keys
    except (msgspec.MsgspecError, ValueError):
        raise ProtocolError("not a list of keys", peer="purpleflea") from None


async def delete_key(rest: PurpleFleaRest, key_id: str) -> None:
    """Delete a key, at once: its connections close and its orders are cancelled. `list_keys` shows that it is gone."""
    if not key_id or not all(letter.isalnum() or letter in "_-" for letter in key_id):
        raise ValueError("not a key's id")
    await rest.change("DELETE", "keys", f"/{key_id}")
