"""The rungs on the chain: halt the executor, burn the operators' nonces, withdraw the bundles that wait at relays.

All that is sent was signed ahead by who holds the keys: none of them is the guard's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from agent.guard import drops
from agent.guard.burns import Burns
from agent.guard.chain_client import ChainClient
from agent.guard.peer import Peer, PeerFault


class HaltExecutor:
    """Hands the halting transactions, signed ahead, to every node; confirmed when a node reads the executor halted."""

    name = "executor"

    def __init__(self, nodes: Sequence[str], executor: str, tiers: Callable[[], Sequence[Sequence[str]]]) -> None:
        self._clients = [ChainClient(url) for url in nodes]
        self._executor = executor
        self._tiers = tiers

    def act(self, attempt: int) -> None:
        tiers = self._tiers()
        if not tiers:
            raise PeerFault("no halting transaction was signed ahead")
        fault: PeerFault | None = None
        is_taken = False
        for client in self._clients:
            for transaction in tiers[min(attempt, len(tiers)) - 1]:
                try:
                    client.send_raw(transaction)
                    is_taken = True
                except PeerFault as error:
                    # Of several nonces only one fits, and refusing the others is right.
                    fault = error
        if fault is not None and not is_taken:
            raise fault

    def is_confirmed(self) -> bool:
        fault: PeerFault | None = None
        for client in self._clients:
            try:
                if client.is_halted(self._executor):
                    return True
            except PeerFault as error:
                fault = error
        if fault is not None:
            raise fault
        return False


class BurnNonces:
    """Uses up each operator's next nonce, so that no bundle that carries it can land; confirmed when a node has it used."""

    name = "nonces"

    def __init__(self, nodes: Sequence[str], burns: Callable[[], Burns]) -> None:
        """`burns` may raise OSError and ValueError."""
        self._clients = [ChainClient(url) for url in nodes]
        self._burns = burns
        self._first_nonces: dict[str, int] = {}
        """The next nonce of each operator when it was looked at first: that one has to go."""

    def act(self, attempt: int) -> None:
        burns = self._load()
        fault: PeerFault | None = None
        for client in self._clients:
            try:
                self._burn(client, burns, attempt)
            except PeerFault as error:
                fault = error
        if len(self._first_nonces) < len(burns.operators) and fault is not None:
            raise fault

    def is_confirmed(self) -> bool:
        burns = self._load()
        fault = PeerFault("no node was asked")
        for client in self._clients:
            try:
                if all(self._is_burned(client, operator.address) for operator in burns.operators):
                    return True
            except PeerFault as error:
                fault = error
                continue
            return False
        raise fault

    def _burn(self, client: ChainClient, burns: Burns, attempt: int) -> None:
        missing = ""
        for operator in burns.operators:
            nonce = client.nonce(operator.address)
            if nonce > self._first_nonces.setdefault(operator.address, nonce):
                continue
            transaction = operator.transaction(nonce, attempt)
            if transaction is None:
                missing = f"no burn was signed for nonce {nonce} of {operator.address}"
            else:
                client.send_raw(transaction)
        if missing:
            raise PeerFault(missing)

    def _is_burned(self, client: ChainClient, address: str) -> bool:
        return address in self._first_nonces and client.nonce(address) > self._first_nonces[address]

    def _load(self) -> Burns:
        try:
            return self._burns()
        except ValueError as error:
            raise PeerFault(str(error)) from None


class DropBundles:
    """Hands in the withdrawals of all that is pending at relays; confirmed when the last block of it has passed."""

    name = "bundles"

    def __init__(self, nodes: Sequence[str], relays: Sequence[str], path: Path) -> None:
        self._clients = [ChainClient(url) for url in nodes]
        self._relays = {url: Peer(url, timeout_s=1.0) for url in relays}
        self._path = path

    def act(self, attempt: int) -> None:
        del attempt
        fault: PeerFault | None = None
        for drop in self._pending():
            relay = self._relays.get(drop.relay)
            if relay is None:
                fault = PeerFault("a bundle is at a relay that the configuration does not name")
                continue
            try:
                status = relay.hand_in(drop.body.encode(), {drops.HEADER: drop.signature})
            except PeerFault as error:
                fault = error
                continue
            if not 200 <= status < 300:
                fault = PeerFault(f"{relay.host} answered {status} to a withdrawal")
        if fault is not None:
            raise fault

    def is_confirmed(self) -> bool:
        return not self._pending()

    def _pending(self) -> list[drops.Drop]:
        """Those whose block a node has not passed."""
        try:
            found = drops.load(self._path)
        except ValueError as error:
            raise PeerFault(str(error)) from None
        if not found:
            return []
        fault = PeerFault("no node was asked")
        for client in self._clients:
            try:
                number = client.block_number()
            except PeerFault as error:
                fault = error
                continue
            return [drop for drop in found if drop.target_block > number]
        raise fault
