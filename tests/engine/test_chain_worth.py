"""What is asked of a node to know what the account is worth, and what its answers come to."""

from __future__ import annotations

from agent.chain.jsonrpc import RpcError
from agent.core.events.chain import Holding
from agent.dex.pool_set import PoolSet
from agent.dex.v2 import V2Pool
from agent.engine.chain_facts import read_facts
from agent.engine.chain_worth import account_of
from agent.engine.executor import Executor
from agent.eth.hexes import to_data
from agent.eth.units import Address, Hash32

WETH, USDC, DAI, OURS, VAULT, FIRST, SECOND = (Address(bytes([number]) * 20) for number in range(1, 8))
EXECUTOR = Executor(
    address=OURS, build="b", code_hash=Hash32(bytes(32)), vault=VAULT, weth=WETH, operators=(FIRST, SECOND)
)
POOLS = PoolSet(
    [
        V2Pool(
            address=Address(b"\x10" * 20),
            token0=WETH,
            token1=USDC,
            fee_pips=3000,
            reserve0=10**21,
            reserve1=2 * 10**12,
        )
    ]
)
HEAD = Hash32(b"\xaa" * 32)


class Node:
    """Answers by account: ETH, and tokens by (token, holder). What is not here is refused."""

    def __init__(self, ether: dict[Address, int], tokens: dict[tuple[Address, Address], int | str]) -> None:
        self._ether = {to_data(one): wei for one, wei in ether.items()}
        self._tokens = {(to_data(token), to_data(holder)): amount for (token, holder), amount in tokens.items()}
        self.batches = 0

    async def batch(self, requests: list[tuple[str, list[object]]]) -> list[object]:
        self.batches += 1
        return [self._answer(method, parameters) for method, parameters in requests]

    def _answer(self, method: str, parameters: list[object]) -> object:
        match method, parameters:
            case "eth_chainId", _:
                return "0x1"
            case "eth_getCode", _:
                return "0x60"
            case "eth_syncing", _:
                return False
            case "eth_getTransactionCount", _:
                return "0x3"
            case "eth_getBalance", [str(account), _]:
                return hex(self._ether[account]) if account in self._ether else _refused()
            case "eth_call", [{"to": token, "input": str(data)}, _]:
                amount = self._tokens.get((token, "0x" + data[-40:]))
                return _refused() if amount is None else amount if isinstance(amount, str) else f"0x{amount:064x}"
        raise AssertionError(method)


def _refused() -> RpcError:
    return RpcError("no", rpc_code=-32000)


ETHER = {FIRST: 10, SECOND: 20, OURS: 1, VAULT: 2}
TOKENS: dict[tuple[Address, Address], int | str] = {
    (WETH, OURS): 5,
    (WETH, VAULT): 70,
    (USDC, OURS): 0,
    (USDC, VAULT): 10**6,
}


async def read(node: Node, executor: Executor = EXECUTOR, tokens: tuple[Address, ...] = (USDC,)) -> list[Holding]:
    ledger = dict.fromkeys(executor.operators, 3)
    facts = await read_facts(
        node,  # type: ignore[arg-type] # what is asked of it here is all that it does
        executor=executor,
        ledger=ledger,
        head_hash=HEAD,
        endpoints=(),
        pools=POOLS,
        tokens=tokens,
    )
    assert node.batches == 1, "one batch for everything"
    return list(facts.holdings)


async def test_eth_of_all_and_tokens_of_executor_and_vault_are_added_up_and_priced() -> None:
    quoted = POOLS[Address(b"\x10" * 20)].quote_exact_in(USDC, 10**6).amount_out
    assert await read(Node(ETHER, TOKENS)) == [
        Holding("ETH", 33, 33),
        Holding(to_data(WETH), 75, 75),
        Holding(to_data(USDC), 10**6, quoted),
    ]
    assert 0 < quoted < 10**21


async def test_only_the_operators_eth_pays_for_gas() -> None:
    facts = await read_facts(
        Node(ETHER, TOKENS),  # type: ignore[arg-type] # as above
        executor=EXECUTOR,
        ledger={FIRST: 1, SECOND: 5},
        head_hash=HEAD,
        endpoints=(),
        pools=POOLS,
    )
    assert (facts.operators_wei, facts.chain_nonces, facts.ledger_nonces) == (30, 6, 6)


async def test_an_account_with_two_roles_counts_once() -> None:
    both = Executor(
        address=OURS, build="b", code_hash=EXECUTOR.code_hash, vault=FIRST, weth=WETH, operators=(FIRST, SECOND)
    )
    node = Node({FIRST: 10, SECOND: 20, OURS: 1}, {(WETH, OURS): 5, (WETH, FIRST): 70})
    assert await read(node, both, ()) == [Holding("ETH", 31, 31), Holding(to_data(WETH), 75, 75)]
    own = Executor(address=OURS, build="b", code_hash=EXECUTOR.code_hash, vault=OURS, weth=WETH, operators=(FIRST,))
    assert account_of(own, own.operators, (WETH, USDC, USDC)).tokens_of == (OURS,)
    assert account_of(own, own.operators, (WETH, USDC, USDC)).tokens == (WETH, USDC)


async def test_one_refused_answer_leaves_that_amount_unknown_and_the_others_known() -> None:
    tokens = {at: amount for at, amount in TOKENS.items() if at != (USDC, OURS)}
    assert await read(Node(ETHER, tokens)) == [
        Holding("ETH", 33, 33),
        Holding(to_data(WETH), 75, 75),
        Holding(to_data(USDC), None, None),
    ]
    holdings = await read(Node({one: wei for one, wei in ETHER.items() if one != VAULT}, TOKENS))
    assert holdings[0] == Holding("ETH", None, None)


async def test_what_no_pool_prices_has_no_value() -> None:
    tokens = {**TOKENS, (DAI, OURS): 0, (DAI, VAULT): 9}
    assert (await read(Node(ETHER, tokens), tokens=(DAI,)))[-1] == Holding(to_data(DAI), 9, None)


async def test_a_token_without_a_contract_is_held_by_nobody_and_nonsense_is_no_answer() -> None:
    empty = {**TOKENS, (DAI, OURS): "0x", (DAI, VAULT): "0x"}
    assert (await read(Node(ETHER, empty), tokens=(DAI,)))[-1] == Holding(to_data(DAI), 0, 0)
    short = {**TOKENS, (DAI, OURS): "0x01", (DAI, VAULT): "0x"}
    assert (await read(Node(ETHER, short), tokens=(DAI,)))[-1] == Holding(to_data(DAI), None, None)


async def test_where_it_is_not_followed_no_balance_but_the_operators_is_asked_for() -> None:
    facts = await read_facts(
        Node({FIRST: 10, SECOND: 20}, {}),  # type: ignore[arg-type] # as above
        executor=EXECUTOR,
        ledger={FIRST: 1, SECOND: 5},
        head_hash=HEAD,
        endpoints=(),
        pools=None,
    )
    assert (facts.operators_wei, facts.holdings) == (30, ())
