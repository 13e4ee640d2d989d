"""Making one block on anvil, and unmaking it: the only place where transactions enter the node.

A trial and a block are the same thing: snapshot, send the raw transactions in order, mine, read the receipts; then
keep it or revert. Nothing is cheaper and nothing else is exact in every case (contract creation, blob and set-code
transactions, gas reserved by limit). Anvil must run with `--no-mining --order fifo`. It leaves out, without an error,
whatever is invalid, does not fit by gas limit, or touches state that its archive refuses; what counts is therefore
the receipts, never the reply to a send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from agent.chain.jsonrpc import Request, RpcError
from agent.devnet.anvil import Anvil
from agent.devnet.pending import PendingTransaction
from agent.errors import ProtocolError
from agent.eth.hexes import from_quantity, to_data, to_hash, to_quantity
from agent.eth.units import Address, Hash32
from agent.sim.simulator import BlockEnv

PAYOUT_GAS = 21_000
_BALANCE_CHANGES = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
_CALLS = {"tracer": "callTracer"}
_MOVING_CALLS = frozenset({"CALL", "CREATE", "CREATE2", "SELFDESTRUCT"})


class Payout(msgspec.Struct, frozen=True):
    """A refund that the fee recipient pays at the end of the block."""

    recipient: Address
    amount_wei: int


class MinedBlock(msgspec.Struct, frozen=True):
    """What anvil made of a list of transactions."""

    number: int
    hash: Hash32
    gas_limit: int
    receipts: tuple[Mapping[str, Any], ...]
    index_by_hash: Mapping[Hash32, int]
    refused: Mapping[Hash32, str]
    """The node's words for transactions that it would not even take."""
    snapshot: str

    def index(self, transaction_hash: Hash32) -> int | None:
        return self.index_by_hash.get(transaction_hash)

    def has_succeeded(self, transaction_hash: Hash32) -> bool:
        """Whether it is in the block with status 1."""
        index = self.index_by_hash.get(transaction_hash)
        return index is not None and from_quantity(self.receipts[index]["status"]) == 1

    def gas_used(self, transaction_hash: Hash32) -> int:
        """Gas of one transaction; 0 if it is not in the block."""
        index = self.index_by_hash.get(transaction_hash)
        return 0 if index is None else from_quantity(self.receipts[index]["gasUsed"])

    def gas_before(self, index: int) -> int:
        """Gas used by all transactions before this position."""
        return from_quantity(self.receipts[index - 1]["cumulativeGasUsed"]) if index else 0


class BlockMaker:
    """Makes blocks on one anvil. Not for concurrent use: the builder holds a lock around it."""

    def __init__(self, node: Anvil) -> None:
        self.node = node

    async def make(
        self, transactions: Sequence[PendingTransaction], env: BlockEnv, *, payouts: Sequence[Payout] = ()
    ) -> MinedBlock:
        """Mine these transactions, in this order, as the block `env` describes; `undo` takes it back."""
        # What awaits inside the node is awaited here: within one batch it would be overtaken.
        snapshot: str = await self.node.call("evm_snapshot")
        requests: list[Request] = [
            ("anvil_dropAllTransactions", ()),
            ("anvil_setCoinbase", (to_data(env.fee_recipient),)),
            ("evm_setNextBlockTimestamp", (env.timestamp,)),
            ("anvil_setNextBlockBaseFeePerGas", (to_quantity(env.base_fee_wei),)),
            ("evm_setBlockGasLimit", (to_quantity(env.gas_limit),)),
        ]
        # Without its sidecar a blob transaction is taken only from an impersonated sender.
        blob_senders = {transaction.sender for transaction in transactions if transaction.blob_count}
        requests += [("anvil_impersonateAccount", (to_data(sender),)) for sender in sorted(blob_senders)]
        first_send = len(requests)
        refused = _nonces_used_twice(transactions)
        sent = [transaction for transaction in transactions if transaction.hash not in refused]
        requests += [("eth_sendRawTransaction", (to_data(transaction.raw),)) for transaction in sent]
        for payout in payouts:
            requests += _payout_requests(payout, env)
        answers = await self.node.rpc.ordered(requests)
        for transaction, answer in zip(sent, answers[first_send:], strict=False):
            if isinstance(answer, RpcError):
                refused[transaction.hash] = answer.message
        for answer in answers[:first_send]:
            if isinstance(answer, RpcError):
                raise answer
        await self.node.call("evm_mine")
        block = await self.node.call("eth_getBlockByNumber", "latest", False)
        receipts = await self.node.call("eth_getBlockReceipts", "latest")
        number = from_quantity(block["number"])
        if number != env.number:
            raise ProtocolError(f"anvil mined block {number} where {env.number} was to come", peer="anvil")
        return MinedBlock(
            number=number,
            hash=to_hash(block["hash"]),
            gas_limit=from_quantity(block["gasLimit"]),
            receipts=tuple(receipts),
            index_by_hash={to_hash(receipt["transactionHash"]): i for i, receipt in enumerate(receipts)},
            refused=refused,
            snapshot=snapshot,
        )

    async def undo(self, block: MinedBlock) -> None:
        """Take a block back, with everything that it left in the node's pool."""
        await self.node.call("evm_revert", block.snapshot)
        await self.node.call("anvil_dropAllTransactions")

    async def keep(self, block: MinedBlock) -> None:
        """Make a block final: what it left out does not linger in the node."""
        await self.node.call("anvil_dropAllTransactions")

    async def payments(self, block: MinedBlock, hashes: Sequence[Hash32], fee_recipient: Address) -> dict[Hash32, int]:
        """What the fee recipient's balance gained by each transaction of a mined block, fees and transfers alike."""
        gains: dict[Hash32, int] = {}
        for transaction_hash in hashes:
            if transaction_hash in block.index_by_hash:
                # The node executes the block up to the transaction for this: right for a few, too slow for many.
                change = await self.node.call("debug_traceTransaction", to_data(transaction_hash), _BALANCE_CHANGES)
                gains[transaction_hash] = _gain(change, to_data(fee_recipient))
        return gains

    async def payments_by_calls(self, block: MinedBlock, hashes: Sequence[Hash32], env: BlockEnv) -> dict[Hash32, int]:
        """The same sum from receipts and recorded calls: fees, and ether that moved to and from the fee recipient."""
        mined = [transaction_hash for transaction_hash in hashes if transaction_hash in block.index_by_hash]
        traces = await self.node.rpc.batch([("debug_traceTransaction", (to_data(h), _CALLS)) for h in mined])
        gains = {}
        for transaction_hash, trace in zip(mined, traces, strict=True):
            if isinstance(trace, RpcError):
                raise trace
            moved_wei = _moved(trace, to_data(env.fee_recipient))
            gains[transaction_hash] = self.fees(block, transaction_hash, env) + moved_wei
        return gains

    def fees(self, block: MinedBlock, transaction_hash: Hash32, env: BlockEnv) -> int:
        """What the fee recipient's balance gained by the gas of one mined transaction alone."""
        receipt = block.receipts[block.index_by_hash[transaction_hash]]
        gas, price_wei = from_quantity(receipt["gasUsed"]), from_quantity(receipt["effectiveGasPrice"])
        paid_wei = gas * price_wei if receipt["from"].lower() == to_data(env.fee_recipient) else 0
        return gas * (price_wei - env.base_fee_wei) - paid_wei

    async def explain(self, transaction: PendingTransaction, env: BlockEnv) -> tuple[str, bool]:
        """Why a transaction could not be executed on the present state, and whether that is unknown state."""
        sender = to_data(transaction.sender)
        try:
            nonce = from_quantity(await self.node.call("eth_getTransactionCount", sender, "latest"))
            balance_wei = from_quantity(await self.node.call("eth_getBalance", sender, "latest"))
        except ProtocolError as error:
            return error.message, True
        if transaction.nonce != nonce:
            word = "low" if transaction.nonce < nonce else "high"
            said = f"nonce too {word}: address {sender}, tx: {transaction.nonce} state: {nonce}"
            return said, False
        if transaction.max_fee_wei < env.base_fee_wei:
            return (
                f"max fee per gas less than block base fee: address {sender}, "
                f"maxFeePerGas: {transaction.max_fee_wei}, baseFee: {env.base_fee_wei}",
                False,
            )
        want_wei = transaction.gas_limit * transaction.max_fee_wei + transaction.value_wei
        if balance_wei < want_wei:
            return f"insufficient funds for gas * price + value: have {balance_wei} want {want_wei}", False
        return await self._explain_by_call(transaction)

    async def _explain_by_call(self, transaction: PendingTransaction) -> tuple[str, bool]:
        request = {
            "from": to_data(transaction.sender),
            "data": transaction.rpc["input"],
            "value": to_quantity(transaction.value_wei),
            "gas": to_quantity(transaction.gas_limit),
        }
        if transaction.to is not None:
            request["to"] = to_data(transaction.to)
        try:
            await self.node.call("eth_call", request, "latest")
        except ProtocolError as error:
            return error.message, "unknown state" in error.message.lower()
        return "the node left it out of the block", False


def _moved(frame: Mapping[str, Any], account: str) -> int:
    """Ether that an account received less what it sent, in a call and all calls below it; none where it failed."""
    if frame.get("error"):
        return 0
    net_wei = sum(_moved(inner, account) for inner in frame.get("calls", ()))
    if frame["type"] in _MOVING_CALLS and (value := frame.get("value")):
        net_wei += from_quantity(value) * ((frame.get("to") == account) - (frame["from"] == account))
    return net_wei


def _gain(change: Mapping[str, Any], account: str) -> int:
    """Balance difference of one account in a prestate trace; an account without `balance` in `post` kept its own."""
    after = change["post"].get(account, {}).get("balance")
    if after is None:
        return 0
    return from_quantity(after) - from_quantity(change["pre"].get(account, {}).get("balance", "0x0"))


def _nonces_used_twice(transactions: Sequence[PendingTransaction]) -> dict[Hash32, str]:
    """Later rivals for one nonce: the node would let the one with the higher fee replace the earlier one."""
    first: dict[tuple[Address, int], Hash32] = {}
    refused: dict[Hash32, str] = {}
    for transaction in transactions:
        owner = first.setdefault((transaction.sender, transaction.nonce), transaction.hash)
        if owner != transaction.hash:
            refused[transaction.hash] = f"nonce too low: {transaction.nonce} is used by {to_data(owner)}"
    return refused


def _payout_requests(payout: Payout, env: BlockEnv) -> list[Request]:
    payer = to_data(env.fee_recipient)
    transfer = {
        "from": payer,
        "to": to_data(payout.recipient),
        "value": to_quantity(payout.amount_wei),
        "gas": to_quantity(PAYOUT_GAS),
        "maxFeePerGas": to_quantity(env.base_fee_wei),
        "maxPriorityFeePerGas": "0x0",
    }
    return [
        ("anvil_impersonateAccount", (payer,)),
        ("eth_sendTransaction", (transfer,)),
        ("anvil_stopImpersonatingAccount", (payer,)),
    ]
