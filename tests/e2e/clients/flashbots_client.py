"""Drives PyPI `flashbots` 2.0.0, in its own environment: one JSON command a line on stdin, one JSON answer a line.

Arguments: node URL, relay URL, key of the sender, key that signs for the relay.
"""

from __future__ import annotations

import json
import sys

from eth_account import Account
from flashbots import flashbot
from web3 import HTTPProvider, Web3

PAYER = Web3.to_checksum_address("0x" + "9a" * 20)


def main() -> None:
    node_url, relay_url, sender_key, auth_key = sys.argv[1:]
    w3 = Web3(HTTPProvider(node_url))
    flashbot(w3, Account.from_key(auth_key), relay_url)
    sender = Account.from_key(sender_key)

    def bundle(command):
        transaction = {
            "type": 2,
            "chainId": 1,
            "nonce": command["nonce"],
            "to": PAYER,
            "value": command["value"],
            "gas": 60_000,
            "maxFeePerGas": 100 * 10**9,
            "maxPriorityFeePerGas": 10**9,
        }
        return [{"signed_transaction": sender.sign_transaction(transaction).rawTransaction}]

    def simulate(command):
        result = w3.flashbots.simulate(bundle(command), command["block"], state_block_tag=command.get("state"))
        return {
            "bundleHash": result["bundleHash"],
            "coinbaseDiff": result["coinbaseDiff"],
            "gasUsed": result["totalGasUsed"],
        }

    def send(command):
        options = {"replacementUuid": command["uuid"]} if "uuid" in command else None
        response = w3.flashbots.send_bundle(bundle(command), command["block"], options)
        return {"bundleHash": response.bundle_hash().hex()}

    def watch(command):
        return None  # the library looks for blocks only when it waits

    def wait(command):
        w3.flashbots.response.wait()
        transaction_hash = w3.flashbots.response.bundle[0]["hash"]
        receipt = w3.eth.get_transaction_receipt(transaction_hash)
        return {"status": receipt["status"], "block": receipt["blockNumber"], "index": receipt["transactionIndex"]}

    def cancel(command):
        return w3.flashbots.cancel_bundles(command["uuid"])

    def send_private(command):
        response = w3.flashbots.send_private_transaction(bundle(command)[0], command["block"])
        return {"hash": response.tx["hash"].hex()}

    def cancel_private(command):
        return w3.flashbots.cancel_private_transaction(command["hash"])

    def statistics(command):
        return w3.flashbots.get_user_stats_v2()

    commands = {function.__name__: function for function in
                (simulate, send, watch, wait, cancel, send_private, cancel_private, statistics)}  # fmt: skip
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": commands[command["do"]](command)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=dict), flush=True)


main()
