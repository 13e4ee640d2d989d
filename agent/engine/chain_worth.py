"""What the account holds on the chain at a head, token by token, and what the head's pools would pay for it.

ETH counts of operators, executor and vault; tokens of executor and vault, where profit lands. Each account counts once,
whatever roles it has. A price is the best single pool's answer for the whole amount at the head, rounded down: what a
sale would bring, fees and its own impact on the price included.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from agent.chain.jsonrpc import RpcError
from agent.core.events.chain import Holding
from agent.dex.pool_set import PoolSet
from agent.engine.executor import Executor
from agent.engine.pricing import value_in_ether
from agent.eth.hexes import from_data, from_quantity, to_data
from agent.eth.keccak import keccak256
from agent.eth.units import Address

BALANCE_OF = keccak256(b"balanceOf(address)")[:4]
ETHER = "ETH"
_WORD_BYTES = 32

Question = tuple[str, list[object]]


class Account(msgspec.Struct, frozen=True):
    """Whose balances count, and in which tokens."""

    ether_of: tuple[Address, ...]
    tokens_of: tuple[Address, ...]
    tokens: tuple[Address, ...]

    @property
    def questions(self) -> list[Question]:
        """What to ask the node for; `holdings` reads the answers, in this order."""
        asked: list[Question] = [("eth_getBalance", [to_data(one), "latest"]) for one in self.ether_of]
        for token in self.tokens:
            for one in self.tokens_of:
                call = {"to": to_data(token), "input": to_data(BALANCE_OF + one.rjust(_WORD_BYTES, b"\0"))}
                asked.append(("eth_call", [call, "latest"]))
        return asked


def account_of(executor: Executor, operators: Sequence[Address], tokens: Sequence[Address]) -> Account:
    """WETH counts always, since profit of cycles in it lands in the vault; other tokens where they are named."""
    ours = (executor.address, executor.vault)
    return Account(
        ether_of=tuple(dict.fromkeys((*operators, *ours))),
        tokens_of=tuple(dict.fromkeys(ours)),
        tokens=tuple(dict.fromkeys((executor.weth, *tokens))),
    )


def holdings(account: Account, answers: Sequence[object], pools: PoolSet, *, weth: Address) -> tuple[Holding, ...]:
    """ETH first, then each token. One answer that is missing leaves that token's amount unknown."""
    balances = iter(answers)
    ether_wei = _sum([_quantity(next(balances)) for _ in account.ether_of])
    found = [Holding(ETHER, ether_wei, ether_wei)]
    for token in account.tokens:
        amount = _sum([_word(next(balances)) for _ in account.tokens_of])
        value_wei = None if amount is None else value_in_ether(pools, token, amount, weth=weth)
        found.append(Holding(to_data(token), amount, value_wei))
    return tuple(found)


def _quantity(answer: object) -> int | None:
    return None if answer is None or isinstance(answer, RpcError) else from_quantity(str(answer))


def _word(answer: object) -> int | None:
    """A token's answer. Nothing at all comes from an address without a contract, and nothing is held in it."""
    if answer is None or isinstance(answer, RpcError):
        return None
    raw = from_data(str(answer))
    return int.from_bytes(raw, "big") if len(raw) in (0, _WORD_BYTES) else None


def _sum(balances: Sequence[int | None]) -> int | None:
    known = [balance for balance in balances if balance is not None]
    return sum(known) if len(known) == len(balances) else None
