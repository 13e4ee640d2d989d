"""A node as the guard needs it: hand in transactions that were signed ahead, and read whether the executor stopped."""

from __future__ import annotations

from typing import Any, NamedTuple

from agent.guard.peer import Peer, PeerFault

ROLES_SELECTOR = "0x392f5f64"
"""`roles()` of the executor: owner, pending owner, guardian, vault, whether it is halted, WETH; a word each."""
_HALTED_WORD = 4
_ROLES_WORDS = 6


class ChainHead(NamedTuple):
    chain_id: int
    guardian_nonce: int
    base_fee_wei: int


class ChainClient:
    """One connection to one node. Every method raises PeerFault where there is no usable answer."""

    def __init__(self, url: str, *, timeout_s: float = 1.0) -> None:
        self._peer = Peer(url, timeout_s=timeout_s)
        self._next_id = 0

    def send_raw(self, transaction: str) -> None:
        """Hand in a signed transaction. That the node has it already is as good."""
        try:
            self._call("eth_sendRawTransaction", [transaction])
        except NodeRefusal as refusal:
            if not any(word in refusal.text for word in ("already known", "already imported", "known transaction")):
                raise

    def is_halted(self, executor: str) -> bool:
        """What `roles()` of the executor says at the latest block."""
        answer = self._call("eth_call", [{"to": executor, "data": ROLES_SELECTOR}, "latest"])
        words = _octets(answer)
        if len(words) != 32 * _ROLES_WORDS:
            raise PeerFault("the executor's address does not answer as an executor")
        return int.from_bytes(words[32 * _HALTED_WORD : 32 * (_HALTED_WORD + 1)]) == 1

    def guardian(self, executor: str) -> str:
        """The address that may halt it, in lower-case hex."""
        words = _octets(self._call("eth_call", [{"to": executor, "data": ROLES_SELECTOR}, "latest"]))
        if len(words) != 32 * _ROLES_WORDS:
            raise PeerFault("the executor's address does not answer as an executor")
        return "0x" + words[32 * 2 + 12 : 32 * 3].hex()

    def head(self, guardian: str) -> ChainHead:
        block = self._call("eth_getBlockByNumber", ["latest", False])
        base_fee = block.get("baseFeePerGas") if isinstance(block, dict) else None
        return ChainHead(
            chain_id=_quantity(self._call("eth_chainId", [])),
            guardian_nonce=_quantity(self._call("eth_getTransactionCount", [guardian, "latest"])),
            base_fee_wei=_quantity(base_fee),
        )

    def nonce(self, address: str) -> int:
        """The next nonce of an account, by the latest block."""
        return _quantity(self._call("eth_getTransactionCount", [address, "latest"]))

    def block_number(self) -> int:
        return _quantity(self._call("eth_blockNumber", []))

    def balance_wei(self, address: str) -> int:
        return _quantity(self._call("eth_getBalance", [address, "latest"]))

    def _call(self, method: str, parameters: list[Any]) -> Any:
        self._next_id += 1
        request = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": parameters}
        _, answer = self._peer.ask("POST", "", request)
        if not isinstance(answer, dict):
            raise PeerFault(f"the node gave no answer to {method}")
        if answer.get("error") is not None:
            error = answer["error"]
            text = error.get("message") if isinstance(error, dict) else None
            raise NodeRefusal(method, text if isinstance(text, str) else "")
        if "result" not in answer or answer.get("id") != self._next_id:
            raise PeerFault(f"the node gave no answer to {method}")
        return answer["result"]

    def close(self) -> None:
        self._peer.close()


class NodeRefusal(PeerFault):
    """The node answered with an error. `text` is the node's, lower-cased and cut; only known phrases are looked for."""

    def __init__(self, method: str, text: str) -> None:
        super().__init__(f"the node refused {method}")
        self.text = text.lower()[:200]


def _octets(value: Any) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise PeerFault("the node's answer is no hex")
    try:
        return bytes.fromhex(value[2:])
    except ValueError:
        raise PeerFault("the node's answer is no hex") from None


def _quantity(value: Any) -> int:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise PeerFault("the node's answer is no number")
    try:
        return int(value, 16)
    except ValueError:
        raise PeerFault("the node's answer is no number") from None
