"""What a careful user writes today: eth_account and json, accounts made once, coincurve installed."""

from __future__ import annotations

import json
from typing import Any

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.crypto import keccak


class NaiveSender:
    """Signs a transaction, makes an `eth_sendBundle` body and its header, as the documentation shows."""

    def __init__(self, trading_key: bytes, relay_key: bytes, *, to: str, chain_id: int) -> None:
        self._trading: Any = Account.from_key(trading_key)
        self._relay: Any = Account.from_key(relay_key)
        self._to = to
        self._chain_id = chain_id

    def submission(
        self,
        *,
        target: str,
        nonce: int,
        max_priority_fee_wei: int,
        max_fee_wei: int,
        gas: int,
        data: bytes,
        block_number: int,
        replacement_uuid: str,
        sequence: int,
    ) -> tuple[bytes, bytes, str]:
        """Raw transaction, body and header."""
        raw = bytes(
            self._trading.sign_transaction(
                {
                    "type": 2,
                    "chainId": self._chain_id,
                    "nonce": nonce,
                    "maxPriorityFeePerGas": max_priority_fee_wei,
                    "maxFeePerGas": max_fee_wei,
                    "gas": gas,
                    "to": self._to,
                    "value": 0,
                    "data": data,
                }
            ).raw_transaction
        )
        body = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "eth_sendBundle",
                "params": [
                    {
                        "txs": [target, "0x" + raw.hex()],
                        "blockNumber": hex(block_number),
                        "replacementUuid": replacement_uuid,
                        "replacementSeqNumber": sequence,
                    }
                ],
            },
            separators=(",", ":"),
        )
        message = encode_defunct(text="0x" + keccak(text=body).hex())
        header = self._relay.address + ":0x" + self._relay.sign_message(message).signature.hex()
        return raw, body.encode(), header
