"""The archive: a JSON-RPC node on loopback that serves the parent state of one case, so that anvil can fork it.

What the case does not list is unknown and is answered with error -32001 `unknown state: account 0x… slot 0x…`,
never with zero. Three exceptions, each declared: fresh addresses (of ours: never used, so they are empty, and so is
whatever contracts keep under their key, see `fresh`), and assumed slots, whose use is recorded.

Answers are texts made beforehand, since a fork asks for thousands of slots one by one. Balances are wei.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import msgspec

from agent.devnet.case import Case, CaseAccount
from agent.devnet.fresh import FreshAddresses
from agent.devnet.loopback import LoopbackServer
from agent.eth.hexes import to_data, to_quantity
from agent.eth.keccak import EMPTY_CODE_HASH
from agent.eth.units import Address, Hash32
from agent.sim.simulator import Slot

UNKNOWN_STATE = -32001
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INVALID_REQUEST = -32600
PARSE_ERROR = -32700


class UnknownState(Exception):
    """The case says nothing about this account or slot."""

    def __init__(self, slot: Slot) -> None:
        super().__init__(unknown_state_text(slot))
        self.slot = slot


class _Refusal(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def unknown_state_text(slot: Slot) -> str:
    """The words by which simulators recognise missing state; they survive anvil's wrapping."""
    account = f"unknown state: account 0x{slot.address.hex()}"
    return account if slot.slot is None else f"{account} slot {slot.slot:#x}"


class Archive:
    """Answers about one case. `start` serves them on loopback; `answer` works without a server."""

    def __init__(
        self,
        case: Case,
        *,
        fresh: Iterable[Address] = (),
        holders: Iterable[Address] | None = None,
        assume: Iterable[Slot] = (),
    ) -> None:
        self._case = case
        self._tag = to_quantity(case.parent.number)
        self._fresh = FreshAddresses(known_addresses=case.accounts.keys())
        self._fresh.declare(fresh, holders=holders)
        self._assume = set(assume)
        self._missing: dict[Slot, None] = {}
        self._assumed: dict[Slot, None] = {}
        self._accounts = {to_data(address): _account_answer(case, row) for address, row in case.accounts.items()}
        self._storage = {
            to_data(address): {slot: _word(value) for slot, value in row.storage.items()}
            for address, row in case.accounts.items()
        }
        self._parent = _parent_block(case)
        self.requests = 0
        self._server = LoopbackServer(self.answer, name="case-archive")

    # What was asked

    @property
    def missing(self) -> tuple[Slot, ...]:
        """Every slot or account asked for and refused, in order of the first request, since `forget`."""
        return tuple(self._missing)

    @property
    def assumed(self) -> tuple[Slot, ...]:
        """The assumed slots that were answered with zero, in order of the first request."""
        return tuple(self._assumed)

    def forget(self) -> None:
        """Empty the record of what was missing. What was assumed stays: a fork asks only once."""
        self._missing = {}

    def declare_fresh(self, addresses: Iterable[Address]) -> None:
        """Addresses that never existed on this chain: empty, and nothing is kept under their key anywhere."""
        self._fresh.declare(addresses)

    def allow(self, slots: Iterable[Slot]) -> None:
        """Take further slots as zero."""
        self._assume |= set(slots)

    # Serving

    @property
    def url(self) -> str:
        """Where it serves; empty before `start`."""
        return self._server.url

    def start(self) -> Self:
        """Serve on a free port of loopback until `stop`."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Close the port and end the thread; safe to call again."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Answering

    def answer(self, body: bytes) -> bytes:
        """The JSON-RPC answer to a request or a batch."""
        try:
            if body.lstrip()[:1] == b"[":
                requests = _decode_batch(body)
                return b"[" + b",".join([self._answer_one(request) for request in requests]) + b"]"
            return self._answer_one(_decode_request(body))
        except msgspec.MsgspecError:
            return _failure(msgspec.Raw(b"null"), PARSE_ERROR, "not a JSON-RPC request")

    def _answer_one(self, request: _Request) -> bytes:
        self.requests += 1
        try:
            method = _METHODS.get(request.method)
            if method is None:
                raise _Refusal(METHOD_NOT_FOUND, f"the method {request.method[:60]} does not exist")
            result = method(self, request.params)
        except UnknownState as unknown:
            self._missing[unknown.slot] = None
            return _failure(request.id, UNKNOWN_STATE, str(unknown))
        except _Refusal as refusal:
            return _failure(request.id, refusal.code, str(refusal))
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            return _failure(request.id, INVALID_PARAMS, f"invalid params: {str(error)[:200]}")
        return b'{"jsonrpc":"2.0","id":' + bytes(request.id) + b',"result":' + result + b"}"

    def _account(self, params: list[Any], tag_at: int) -> _AccountAnswer:
        """The account in params[0], at the parent; the tag stands at `tag_at`."""
        address = _address_key(params[0])
        self._check_tag(params, tag_at)
        if (known := self._accounts.get(address)) is not None:
            return known
        raw = Address(bytes.fromhex(address[2:]))
        if self._fresh.is_fresh(raw):
            return _EMPTY_ACCOUNT
        slot = Slot(raw, None)
        if slot in self._assume:
            self._assumed[slot] = None
            return _EMPTY_ACCOUNT
        raise UnknownState(slot)

    def _check_tag(self, params: list[Any], at: int) -> None:
        tag = params[at] if len(params) > at else "latest"
        if isinstance(tag, dict):
            tag = tag.get("blockNumber", tag.get("blockHash"))
            if tag == self._parent_hash_text():
                return
        if tag in (self._tag, "latest"):
            return
        if not (isinstance(tag, str) and tag.startswith("0x") and int(tag, 16) == self._case.parent.number):
            raise _Refusal(
                UNKNOWN_STATE, f"unknown state: only block {self._case.parent.number} is held, asked for {tag!s:.80}"
            )

    def _parent_hash_text(self) -> str:
        return to_data(self._case.parent.hash)

    def _get_balance(self, params: list[Any]) -> bytes:
        return self._account(params, 1).balance

    def _get_nonce(self, params: list[Any]) -> bytes:
        return self._account(params, 1).nonce

    def _get_code(self, params: list[Any]) -> bytes:
        return self._code_of(params, self._account(params, 1))

    def _get_account_info(self, params: list[Any]) -> bytes:
        answer = self._account(params, 1)
        code = self._code_of(params, answer)
        return b'{"balance":' + answer.balance + b',"nonce":' + answer.nonce + b',"code":' + code + b"}"

    def _code_of(self, params: list[Any], answer: _AccountAnswer) -> bytes:
        if answer.code is None:
            raise UnknownState(Slot(Address(bytes.fromhex(_address_key(params[0])[2:])), None))
        return answer.code

    def _get_storage(self, params: list[Any]) -> bytes:
        address = _address_key(params[0])
        slot = int(params[1], 16)
        self._check_tag(params, 2)
        known = self._storage.get(address)
        if known is not None and (value := known.get(slot)) is not None:
            return value
        raw = Address(bytes.fromhex(address[2:]))
        if self._fresh.is_fresh(raw) or self._is_empty(raw) or self._fresh.is_keyed(slot):
            return _ZERO_WORD
        name = Slot(raw, slot)
        if name in self._assume:
            self._assumed[name] = None
            return _ZERO_WORD
        raise UnknownState(name)

    def _is_empty(self, address: Address) -> bool:
        """Without code and nonce an account has no storage; so created contracts start from nothing."""
        row = self._case.accounts.get(address)
        return row is not None and row.nonce == 0 and row.code_hash in (EMPTY_CODE_HASH, bytes(32))

    def _get_block_by_number(self, params: list[Any]) -> bytes:
        tag = params[0]
        if tag in ("latest", "finalized", "safe", "pending"):
            number = self._case.parent.number
        elif tag == "earliest":
            number = 0
        else:
            number = int(tag, 16)
        if number == self._case.parent.number:
            return _encode(self._parent)
        if number == self._case.number:
            return _encode(_own_block(self._case, is_full=bool(params[1]) if len(params) > 1 else False))
        if (ancestor := self._case.block_hashes.get(number)) is not None:
            return _encode(_ancestor_block(self._case, number, ancestor))
        if number > self._case.number:
            return b"null"
        raise _Refusal(UNKNOWN_STATE, f"unknown state: block hash of {number}")

    def _get_block_by_hash(self, params: list[Any]) -> bytes:
        wanted = str(params[0]).lower()
        numbers = {self._case.number: self._case.header.hash, self._case.parent.number: self._case.parent.hash}
        for number, known in (numbers | self._case.block_hashes).items():
            if to_data(known) == wanted:
                return self._get_block_by_number([hex(number), *params[1:]])
        return b"null"

    def _get_transaction(self, params: list[Any]) -> bytes:
        wanted = str(params[0]).lower()
        for transaction in self._case.transactions:
            if to_data(transaction.hash) == wanted:
                return _encode({key: value for key, value in transaction.rpc.items() if key != "rlp"})
        return b"null"

    def _get_raw_transaction(self, params: list[Any]) -> bytes:
        wanted = str(params[0]).lower()
        for transaction in self._case.transactions:
            if to_data(transaction.hash) == wanted:
                return _encode(to_data(transaction.raw))
        return b"null"


class _Request(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(b"null")
    params: list[Any] = msgspec.field(default_factory=list)


class _AccountAnswer(msgspec.Struct, frozen=True):
    """JSON texts, ready to send. `code` None: the case lacks it."""

    balance: bytes
    nonce: bytes
    code: bytes | None


_encode = msgspec.json.encode
_decode_request = msgspec.json.Decoder(_Request).decode
_decode_batch = msgspec.json.Decoder(list[_Request]).decode
_EMPTY_ACCOUNT = _AccountAnswer(balance=b'"0x0"', nonce=b'"0x0"', code=b'"0x"')
_ZERO_WORD = b'"0x' + b"0" * 64 + b'"'


def _word(value: int) -> bytes:
    return b'"0x%064x"' % value


def _account_answer(case: Case, row: CaseAccount) -> _AccountAnswer:
    is_codeless = row.code_hash in (EMPTY_CODE_HASH, bytes(32))
    code = b"" if is_codeless else case.codes.get(row.code_hash)
    return _AccountAnswer(
        balance=_encode(to_quantity(row.balance_wei)),
        nonce=_encode(to_quantity(row.nonce)),
        code=None if code is None else _encode(to_data(code)),
    )


def _address_key(text: Any) -> str:
    """The lower-case form that the tables are keyed by."""
    if not isinstance(text, str) or len(text) != 42 or not text.startswith("0x"):
        raise ValueError(f"not an address: {text!s:.60}")
    return text.lower()


def _parent_block(case: Case) -> dict[str, Any]:
    fields = {key: value for key, value in case.parent.rpc.items() if key not in ("synthetic", "source")}
    return _EMPTY_BLOCK | fields


def _own_block(case: Case, *, is_full: bool) -> dict[str, Any]:
    if is_full:
        rows: list[Any] = [
            {k: v for k, v in transaction.rpc.items() if k != "rlp"} for transaction in case.transactions
        ]
    else:
        rows = [to_data(transaction.hash) for transaction in case.transactions]
    withdrawals = {} if case.withdrawals is None else {"withdrawals": list(case.withdrawals)}
    return _EMPTY_BLOCK | case.header.rpc | {"transactions": rows} | withdrawals


def _ancestor_block(case: Case, number: int, block_hash: Hash32) -> dict[str, Any]:
    """Only number and hash are true: nodes ask for it to answer BLOCKHASH."""
    return _parent_block(case) | {"number": to_quantity(number), "hash": to_data(block_hash)}


_EMPTY_BLOCK: dict[str, Any] = {
    "transactions": [],
    "uncles": [],
    "size": "0x220",
    "totalDifficulty": "0x0",
    "nonce": "0x0000000000000000",
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
}


def _failure(request_id: msgspec.Raw, code: int, message: str) -> bytes:
    error = _encode({"code": code, "message": message})
    return b'{"jsonrpc":"2.0","id":' + bytes(request_id) + b',"error":' + error + b"}"


_METHODS = {
    "eth_chainId": lambda archive, params: _encode(to_quantity(archive._case.chain_id)),
    "net_version": lambda archive, params: _encode(str(archive._case.chain_id)),
    "web3_clientVersion": lambda archive, params: b'"mev-agent/case-archive"',
    "eth_blockNumber": lambda archive, params: _encode(archive._tag),
    "eth_gasPrice": lambda archive, params: _encode(to_quantity(archive._case.parent.base_fee_wei)),
    "eth_getBalance": Archive._get_balance,
    "eth_getTransactionCount": Archive._get_nonce,
    "eth_getCode": Archive._get_code,
    "eth_getAccountInfo": Archive._get_account_info,
    "eth_getStorageAt": Archive._get_storage,
    "eth_getBlockByNumber": Archive._get_block_by_number,
    "eth_getBlockByHash": Archive._get_block_by_hash,
    "eth_getTransactionByHash": Archive._get_transaction,
    "eth_getRawTransactionByHash": Archive._get_raw_transaction,
}
