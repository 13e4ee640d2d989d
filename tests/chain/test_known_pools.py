"""The list of known pools is right where it can be checked: against pools that the slice proves to be mainnet's."""

from __future__ import annotations

import pytest

from agent.chain.connect import header_at, is_stream, open_node
from agent.chain.known_pools import KNOWN_TOKENS, existing_pools, known_pools
from agent.devnet.anvil import Anvil
from agent.devnet.slice.design import design_slice
from agent.devnet.slice.records import pool_records
from agent.errors import SetupError
from agent.eth.hexes import to_data


def test_every_pool_of_the_slice_is_known_with_its_kind_fee_and_spacing() -> None:
    known = {record.address: record for record in known_pools()}
    for record in pool_records(design_slice(0)):
        assert known[record.address] == record


def test_every_token_of_the_slice_is_known_with_its_symbol_and_decimals() -> None:
    known = {token.address: (token.symbol, token.decimals) for token in KNOWN_TOKENS}
    assert known == {token.address: (token.symbol, token.decimals) for token in design_slice(0).tokens}


def test_no_pool_is_listed_twice_and_tokens_are_in_the_pools_own_order() -> None:
    records = known_pools()
    assert len({record.address for record in records}) == len(records)
    assert all(record.token0 < record.token1 and record.is_proved for record in records)


@pytest.mark.anvil
async def test_only_pools_with_code_are_there_and_a_wrong_chain_or_block_is_told() -> None:
    async with await Anvil.start(hardfork="osaka", gas_limit=30_000_000, chain_id=1) as anvil:
        wanted = known_pools()[5]
        await anvil.call("anvil_setCode", to_data(wanted.address), "0x00")
        for url in (anvil.rpc_url, anvil.ws_url):
            rpc = await open_node(url, chain_id=1)
            assert await existing_pools(rpc, known_pools(), block="latest") == [wanted]
            assert (await header_at(rpc, 0)).hash == (await header_at(rpc, None)).hash
            with pytest.raises(SetupError, match="no block 77"):
                await header_at(rpc, 77)
            await rpc.close()
            with pytest.raises(SetupError, match="is on chain 1, not 2"):
                await open_node(url, chain_id=2)
        assert not is_stream(anvil.rpc_url) and is_stream(anvil.ws_url)
