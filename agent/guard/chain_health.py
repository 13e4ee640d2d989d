"""Whether the halting transactions signed ahead would still work: asked of the nodes every few seconds."""

from __future__ import annotations

import threading

from agent.guard import burns, halts
from agent.guard.chain_client import ChainClient, ChainHead
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
                    head = client.head(signed.guardian)
                    why = halts.why_stale(signed, head) or self._why_burns(client, head)
            except PeerFault as fault:
                why = str(fault)
                continue
            except Exception as fault:  # noqa: BLE001 - a strange answer of a node must not end the asking
                why = f"unreadable answer: {type(fault).__name__}"
                continue
            break
        self.why_unready = why if why.startswith("nonce burns") else f"halting transactions: {why}" if why else ""

    def _why_burns(self, client: ChainClient, head: ChainHead) -> str:
        path = self._chain.burns_file
        if path is None:
            return ""
        try:
            signed = burns.load(path)
        except (OSError, ValueError) as error:
            return f"the nonce burns cannot be read: {type(error).__name__}"
        nonces = {operator.address: client.nonce(operator.address) for operator in signed.operators}
        why = burns.why_stale(signed, chain_id=head.chain_id, base_fee_wei=head.base_fee_wei, nonces=nonces)
        return f"nonce burns: {why}" if why else ""

    def tiers(self) -> tuple[tuple[str, ...], ...]:
        """What to send; empty where the file cannot be read."""
        try:
            return halts.load(self._chain.halts_file).tiers
        except (OSError, ValueError):
            return ()

    def stop(self) -> None:
        self._ended.set()
