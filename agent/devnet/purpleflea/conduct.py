"""How the venue behaves where it could behave otherwise: the honest way. Faults replace it by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agent.ports.network import HttpAnswer

if TYPE_CHECKING:
    from agent.devnet.purpleflea.floor import Caller, Member
    from agent.devnet.purpleflea.keys import Key
    from agent.devnet.purpleflea.orders import Order
    from agent.devnet.purpleflea.sessions import Session

Handler = Callable[["Caller", dict[str, Any]], None]


class Conduct:
    """The accept side and the promises about what happens by itself."""

    def handle(self, caller: Caller, action: str, frame: dict[str, Any], handler: Handler) -> None:
        """A request has been read and is to be handled."""
        handler(caller, frame)

    def admit(self, account: str) -> None:
        """A key is good; raise door.TurnedAway to refuse it all the same."""

    def opened(self, session: Session) -> None:
        """A session has begun, and its hello is said."""

    def http(self, method: str, path: str) -> HttpAnswer | None:
        """An answer that takes the place of the real one."""
        return None

    def take_http_wait_ns(self) -> int:
        """How long the answer to the HTTP request just handled is held back."""
        return 0

    def cod_wait_ns(self, session: Session) -> int | None:
        """How much later than promised cancel-on-disconnect acts; None for never."""
        return 0

    def deadman_wait_ns(self, member: Member, wait_ns: int) -> int | None:
        """How long the dead-man timer runs; None for ever."""
        return wait_ns

    def deletion_wait_ns(self, key: Key) -> int:
        """How long a deleted key stays alive."""
        return 0

    def cancel_all(self, orders: list[Order]) -> list[Order]:
        """Which of the orders a cancel-all ends, of those that it says it ended."""
        return orders
