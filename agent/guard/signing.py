"""Signs `halt()` and nonce burns ahead: a short-lived process with the keys, so that the guard itself never holds one.

    python -m agent.guard.signing --config guard.toml

The guardian can halt the executor and do nothing else. Its transactions are signed for the nonces that may be next, in
tiers of fees of which the dearer replace the cheaper; the guard sends the first tier, and the next with each attempt.
Run it again when `mev-agent status` says that they are stale: the guard reads the file anew.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.guard.burns import SCHEMA as BURNS_SCHEMA
from agent.guard.chain_client import ChainClient, ChainHead
from agent.guard.configuration import ChainPart, ConfigurationFault, load, read_secret
from agent.guard.folder import write_synced
from agent.guard.halts import SCHEMA
from agent.guard.peer import PeerFault

HALT_CALLDATA = "0x5ed7ca5b"
HALT_GAS = 60_000
NONCES = 3
BURN_GAS = 21_000
BURNED_NONCES = 64
"""An operator uses one with each bundle that lands."""
TIERS = ((20, 2_000_000_000), (60, 10_000_000_000), (200, 50_000_000_000))
"""Of each tier: how many times the present base fee it pays at most, and the tip in wei."""


def sign(account: Any, head: ChainHead, executor: str) -> dict[str, Any]:
    """The file's content; `account` is an eth-account account."""
    base = max(head.base_fee_wei, 1)
    return {
        "schema": SCHEMA,
        "chain_id": head.chain_id,
        "guardian": account.address.lower(),
        "executor": executor,
        "first_nonce": head.guardian_nonce,
        "max_fee_wei": str(TIERS[0][0] * base + TIERS[0][1]),
        "tiers": [
            [
                "0x"
                + bytes(
                    account.sign_transaction(
                        {
                            "type": 2,
                            "chainId": head.chain_id,
                            "nonce": nonce,
                            "maxPriorityFeePerGas": tip_wei,
                            "maxFeePerGas": times * base + tip_wei,
                            "gas": HALT_GAS,
                            "to": bytes.fromhex(executor[2:]),
                            "value": 0,
                            "data": HALT_CALLDATA,
                        }
                    ).raw_transaction
                ).hex()
                for nonce in range(head.guardian_nonce, head.guardian_nonce + NONCES)
            ]
            for times, tip_wei in TIERS
        ],
    }


def prepare(chain: ChainPart, account: Any) -> ChainHead:
    """Write the halts for the present head of the first node that answers. Raises PeerFault or ConfigurationFault."""
    fault = PeerFault("no node is named")
    for url in chain.nodes:
        client = ChainClient(url, timeout_s=5.0)
        try:
            head = client.head(account.address)
            guardian = client.guardian(chain.executor)
            balance_wei = client.balance_wei(account.address)
        except PeerFault as error:
            fault = error
            continue
        if guardian != account.address.lower():
            raise ConfigurationFault("the key is not the executor's guardian")
        content = sign(account, head, chain.executor)
        if balance_wei < HALT_GAS * int(content["max_fee_wei"]):
            raise ConfigurationFault(f"the guardian needs {HALT_GAS * int(content['max_fee_wei'])} wei to halt")
        write_synced(chain.halts_file, content)
        return head
    raise fault


def sign_burns(accounts: Sequence[Any], chain_id: int, nonces: Sequence[int], base_fee_wei: int) -> dict[str, Any]:
    """The content of the file of nonce burns; `accounts` are eth-account accounts, `nonces` their next ones."""
    base = max(base_fee_wei, 1)

    def burn(account: Any, nonce: int, times: int, tip_wei: int) -> str:
        fields = {
            "type": 2,
            "chainId": chain_id,
            "nonce": nonce,
            "maxPriorityFeePerGas": tip_wei,
            "maxFeePerGas": times * base + tip_wei,
            "gas": BURN_GAS,
            "to": bytes.fromhex(account.address[2:]),
            "value": 0,
            "data": "0x",
        }
        return "0x" + bytes(account.sign_transaction(fields).raw_transaction).hex()

    return {
        "schema": BURNS_SCHEMA,
        "chain_id": chain_id,
        "max_fee_wei": str(TIERS[0][0] * base + TIERS[0][1]),
        "operators": [
            {
                "address": account.address.lower(),
                "first_nonce": first,
                "tiers": [
                    [burn(account, nonce, times, tip_wei) for nonce in range(first, first + BURNED_NONCES)]
                    for times, tip_wei in TIERS
                ],
            }
            for account, first in zip(accounts, nonces, strict=True)
        ],
    }


def prepare_burns(chain: ChainPart, accounts: Sequence[Any]) -> None:
    """Write the burns for the present nonces, by the first node that answers. Raises PeerFault."""
    assert chain.burns_file is not None
    fault = PeerFault("no node is named")
    for url in chain.nodes:
        client = ChainClient(url, timeout_s=5.0)
        try:
            heads = [client.head(account.address) for account in accounts]
        except PeerFault as error:
            fault = error
            continue
        nonces = [head.guardian_nonce for head in heads]
        content = sign_burns(accounts, heads[0].chain_id, nonces, max(head.base_fee_wei for head in heads))
        write_synced(chain.burns_file, content)
        return
    raise fault


def open_account(keystore: Path, password_file: Path, key: str = "chain.guardian_keystore") -> Any:
    """An account of a keystore. Raises ConfigurationFault without a word of the file's content."""
    from eth_account import Account  # here, in a process that ends: the guard runs without it

    try:
        return Account.from_key(
            Account.decrypt(
                json.loads(read_secret(keystore, key)),
                read_secret(password_file, f"the password of {key}"),
            )
        )
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
        raise ConfigurationFault(f"{key} does not open with this password") from None


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 signed, 3 configuration, 4 no node answers."""
    parser = argparse.ArgumentParser(prog="agent.guard.signing", description="Sign halting transactions ahead.")
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        chain = load(options.config).chain
        if chain is None or chain.guardian_keystore is None or chain.guardian_password_file is None:
            raise ConfigurationFault("chain.guardian_keystore and chain.guardian_password_file are needed")
        account = open_account(chain.guardian_keystore, chain.guardian_password_file)
        password = chain.operator_password_file
        operators = [
            open_account(path, password, "chain.operator_keystores") for path in chain.operator_keystores if password
        ]
        head = prepare(chain, account)
        if operators:
            prepare_burns(chain, operators)
    except ConfigurationFault as fault:
        sys.stderr.write(f"guard: {fault}\n")
        return 3
    except PeerFault as fault:
        sys.stderr.write(f"guard: {fault}\n")
        return 4
    sys.stderr.write(
        f"guard: signed halt() for nonces {head.guardian_nonce} to {head.guardian_nonce + NONCES - 1}, "
        f"good up to a base fee of {TIERS[0][0] * head.base_fee_wei // 2} wei\n"
    )
    if operators:
        sys.stderr.write(f"guard: signed burns of {BURNED_NONCES} nonces for each of {len(operators)} operators\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
