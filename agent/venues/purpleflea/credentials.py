"""The account's key and the header it goes into. It is shown nowhere."""

from __future__ import annotations

from typing import Literal

AuthForm = Literal["x-api-key", "bearer"]


class Credentials:
    """The key of an account; `headers` is the only way to it."""

    __slots__ = ("__key", "form")

    def __init__(self, key: str, form: AuthForm = "x-api-key") -> None:
        if not key or not (key.isascii() and key.isprintable()) or " " in key:
            raise ValueError("a key is printable ASCII without spaces")
        self.__key = key
        self.form = form

    def headers(self) -> dict[str, str]:
        """A new dictionary with the header that authenticates a request."""
        if self.form == "bearer":
            return {"Authorization": f"Bearer {self.__key}"}
        return {"X-API-Key": self.__key}

    def __repr__(self) -> str:
        return f"Credentials({self.form})"
