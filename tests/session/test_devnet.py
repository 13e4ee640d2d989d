"""A devnet is there for programs that nobody here wrote, and nothing of it is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from web3 import Web3

from agent.devnet.anvil import find_foundry

pytestmark = pytest.mark.anvil
ENDS_WITHIN_S = 30


@contextmanager
def devnet(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The command in a process of its own, and what it printed once it was ready."""
    command = [sys.executable, "-m", "agent.cli", "devnet", "up", "--json", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(120, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None and process.stderr is not None
            first = process.stdout.readline()
            assert first, process.stderr.read()
            yield process, json.loads(first)["data"]
        finally:
            watchdog.cancel()
            if process.poll() is None:
                process.terminate()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def cast(*words: str) -> str:
    done = subprocess.run([str(find_foundry("cast")), *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_the_slice_serves_web3_and_cast_and_ends_without_a_trace() -> None:
    with devnet("--pace", "manual") as (process, found):
        node = Web3(Web3.HTTPProvider(found["rpc_url"]))
        assert node.eth.chain_id == found["chain_id"] == 1
        assert node.eth.block_number == found["head"]
        assert len(node.eth.get_code(found["executor"]["address"])) > 1_000
        waiting = int(json.loads(cast("rpc", "txpool_status", "--rpc-url", found["rpc_url"]))["pending"], 16)
        assert waiting > 0, "the users have sent their first transactions"

        operator = next(key for key in found["keys"] if key["name"] == "operator 0")
        account = node.eth.account.from_key(operator["private_key"])
        assert account.address == operator["address"]
        signed = account.sign_transaction(
            {"to": found["vault"], "value": 1, "gas": 21_000, "nonce": 0, "chainId": 1, "type": 2,
             "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
        )  # fmt: skip
        sent = node.eth.send_raw_transaction(signed.raw_transaction)
        cast("rpc", "evm_mine", "--rpc-url", found["rpc_url"])
        assert node.eth.get_transaction_receipt(sent)["status"] == 1
        assert node.eth.get_balance(found["vault"]) == 1
        assert node.eth.get_block("latest")["number"] == found["head"] + 1
        assert len(node.eth.get_block("latest")["transactions"]) > waiting // 2
        assert int(cast("block-number", "--rpc-url", found["rpc_url"])) == found["head"] + 1

        below = children(process.pid)
        assert below, "anvil is a child of the command"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=ENDS_WITHIN_S) == 130
        assert process.stderr is not None and "Traceback" not in process.stderr.read()
        assert all(is_gone(pid) for pid in below)


def test_a_case_waits_with_its_block_in_the_mempool(mainnet: Path) -> None:
    path = mainnet / "public" / "15274915.json.gz"
    if not path.exists():
        pytest.skip(f"no case at {path}")
    with devnet("--case", str(path)) as (process, found):
        node = Web3(Web3.HTTPProvider(found["rpc_url"]))
        assert node.eth.block_number == found["head"] == 15274914
        waiting = int(json.loads(cast("rpc", "txpool_status", "--rpc-url", found["rpc_url"]))["pending"], 16)
        cast("rpc", "evm_mine", "--rpc-url", found["rpc_url"])
        block = node.eth.get_block("latest")
        assert (block["number"], len(block["transactions"])) == (15274915, waiting)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=ENDS_WITHIN_S) == 143


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option in ("--port", "--relay-port"):
            command = [sys.executable, "-m", "agent.cli", "devnet", "up", option, port]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
            assert done.returncode == 4
            assert port in done.stderr and "Traceback" not in done.stderr
            assert done.stdout == ""
