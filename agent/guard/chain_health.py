"""Whether the halting transactions signed ahead would still work: asked of the nodes every few seconds."""

from __future__ import annotations

import threading

from agent.guard import halts
from agent.guard.chain_client import ChainClient
from agent.guard.configuration import ChainPart
from agent.guard.peer import PeerFault

PERIOD_S = 3.0


class ChainHealth(threading.Thread):
    """`why_unready` is empty while a node says that the executor could be halted now."""

    def __init__(self, chain: ChainPart) -> None:
        super().__init__(name="chain health", daemon=True)
        self._chain = chain
        self._clients = [ChainClient(url) for url in chain.nodes]
        self._ended = threading.Event()
        self.why_unready = "no node was asked yet"

    def run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self.check()

    def check(self) -> None:
        try:
            signed = halts.load(self._chain.halts_file)
        except (OSError, ValueError) as error:
            self.why_unready = f"the halting transactions cannot be read: {type(error).__name__}"
            return
        why = "no node answers"
        for client in self._clients:
            try:
                if client.guardian(self._chain.executor) != signed.guardian or signed.executor != self._chain.executor:
                    why = "they are not by the executor's guardian"
                else:
                    why = halts.why_stale(signed, client.head(signed.guardian))
            except PeerFault as fault:
                why = str(fault)
                continue
            except Exception as fault:  # noqa: BLE001 - a strange answer of a node must not end the asking
                why = f"unreadable answer: {type(fault).__name__}"
                continue
            break
        self.why_unready = f"halting transactions: {why}" if why else ""

    def tiers(self) -> tuple[tuple[str, ...], ...]:
        """What to send; empty where the file cannot be read."""
        try:
            return halts.load(self._chain.halts_file).tiers
        except (OSError, ValueError):
            return ()

    def stop(self) -> None:
        self._ended.set()
