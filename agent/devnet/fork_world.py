"""A fork of a real chain as a world: anvil over the user's node at one block, our executor, front, builder and relay.

Nothing is written to the user's node. Pools are read from it directly, at the fork's block, because a fork fetches
state slot by slot; simulation and blocks are anvil's.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.chain.client import Rpc
from agent.chain.connect import chain_id_of, header_at, open_node
from agent.chain.discovery import PoolRecord, view
from agent.chain.headers import Header
from agent.chain.known_pools import MAINNET, existing_pools, known_pools
from agent.devnet.anvil import Anvil
from agent.devnet.builder import Builder, Ordering
from agent.devnet.builder.rules import MAX_TRANSACTION_GAS
from agent.devnet.front import Front
from agent.devnet.identities import Identities, devnet_identities
from agent.devnet.mainnet import START_TOKENS, WETH, StartToken
from agent.devnet.mempool import Mempool
from agent.devnet.relay import Relay
from agent.engine.executor import Executor
from agent.errors import SetupError
from agent.eth.forks import Fork, mainnet_fork
from agent.eth.hexes import to_data, to_quantity
from agent.eth.keccak import keccak256
from agent.eth.units import WEI_PER_ETHER, Address
from agent.venues.onchain.executor import build_for_fork, load_build, runtime_code, runtime_code_hash, storage

OPERATOR_BALANCE_WEI = 10 * WEI_PER_ETHER
FEE_RECIPIENT_BALANCE_WEI = WEI_PER_ETHER
FORK_RETRIES = 5
"""A hosted node says "slow down" now and then, and a block that lacks a transaction for it would be another block."""
DUST = 1
_BALANCE_OF = keccak256(b"balanceOf(address)")[:4]


class ForkWorld:
    """Open, use, close. `origin` is the connection to the user's node."""

    def __init__(
        self,
        *,
        origin: Rpc,
        anvil: Anvil,
        header: Header,
        chain_id: int,
        identities: Identities,
        executor: Executor,
        records: Sequence[PoolRecord],
        ordering: Ordering,
        max_transaction_gas: int | None,
    ) -> None:
        self.origin = origin
        self.anvil = anvil
        self.header = header
        """The block the fork begins at."""
        self.chain_id = chain_id
        self.identities = identities
        self.executor = executor
        self.records = list(records)
        self.mempool = Mempool()
        self.builder = Builder(anvil, self.mempool, ordering=ordering, max_transaction_gas=max_transaction_gas)
        self.front = Front(anvil, self.mempool, chain_id=chain_id, lock=self.builder.lock, mine=self.builder.build)
        self.builder.on_block(self.front.announce_soon)
        self.relay = Relay(self.builder)

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        block: int | None = None,
        chain_id: int | None = None,
        ordering: Ordering = Ordering.PROFIT,
        seed: int = 0,
        front_port: int = 0,
        relay_port: int = 0,
    ) -> ForkWorld:
        """Fork the node at `url` at `block` (None: its latest). `chain_id` is what the node must be on."""
        origin = await open_node(url, chain_id=chain_id)
        anvil: Anvil | None = None
        try:
            header = await header_at(origin, block)
            found = await chain_id_of(origin)
            fork = _fork_of(found, header)
            hardfork = _ANVIL_NAMES[fork]
            anvil = await Anvil.start(
                hardfork=hardfork,
                gas_limit=header.gas_limit,
                fork_url=url,
                fork_block=header.number,
                fork_retries=FORK_RETRIES,
            )
            identities = devnet_identities(seed=seed)
            records = await pools_on(origin, chain_id=found, block=to_quantity(header.number))
            executor = await plant_executor(anvil, identities, hardfork=hardfork, pools=records)
            world = cls(
                origin=origin,
                anvil=anvil,
                header=header,
                chain_id=found,
                identities=identities,
                executor=executor,
                records=records,
                ordering=ordering,
                max_transaction_gas=MAX_TRANSACTION_GAS if fork >= Fork.OSAKA else None,
            )
            try:
                await world.front.start(port=front_port)
                await world.relay.start(port=relay_port)
            except BaseException:
                await world.close()
                raise
            return world
        except BaseException:
            if anvil is not None:
                await anvil.stop()
            await origin.close()
            raise

    async def close(self) -> None:
        """End every server, process and connection; safe to repeat."""
        await self.relay.stop()
        await self.front.stop()
        await self.anvil.stop()
        await self.origin.close()


_ANVIL_NAMES = {
    fork: name
    for name, forks in {
        "london": (Fork.LONDON, Fork.ARROW_GLACIER, Fork.GRAY_GLACIER),
        "paris": (Fork.PARIS,),
        "shanghai": (Fork.SHANGHAI,),
        "cancun": (Fork.CANCUN,),
        "prague": (Fork.PRAGUE,),
        "osaka": (Fork.OSAKA, Fork.BPO1, Fork.BPO2),
    }.items()
    for fork in forks
}


def _fork_of(chain_id: int, header: Header) -> Fork:
    """The rules of the block after `header`; other chains than mainnet are taken to follow the newest."""
    if chain_id != MAINNET:
        return Fork.OSAKA
    try:
        fork = mainnet_fork(block_number=header.number + 1, timestamp=header.timestamp)
    except ValueError as error:
        raise SetupError(str(error), code="E_OLD_BLOCK", hint="fork at a block from 12965000 on") from None
    if fork is Fork.BERLIN:
        raise SetupError(
            f"block {header.number} is older than London", code="E_OLD_BLOCK", hint="fork at a block from 12965000 on"
        )
    return fork


async def pools_on(rpc: Rpc, *, chain_id: int, block: str) -> list[PoolRecord]:
    """The known pools that are there; none on a chain whose pools we have no list of."""
    return await existing_pools(rpc, known_pools(), block=block) if chain_id == MAINNET else []


async def plant_executor(anvil: Anvil, ours: Identities, *, hardfork: str, pools: Sequence[PoolRecord]) -> Executor:
    """Our executor on anvil, with these pools on its owner's list, and money for gas and dust."""
    build = load_build(build_for_fork(hardfork))
    slots = storage(
        owner=ours.owner.address,
        operators=[key.address for key in ours.operators],
        guardian=ours.guardian.address,
        vault=ours.vault,
        tokens=[token.address for token in START_TOKENS],
        pools=[record.address for record in pools],
    )
    await anvil.call("anvil_setCode", to_data(ours.executor), to_data(runtime_code(build, weth=WETH)))
    for slot, value in slots.items():
        await anvil.call("anvil_setStorageAt", to_data(ours.executor), to_quantity(slot), f"0x{value:064x}")
    for token in START_TOKENS:
        for holder in (ours.executor, ours.vault):
            await _plant_dust(anvil, token, holder, sender=ours.probe)
    for operator in ours.operators:
        await anvil.call("anvil_setBalance", to_data(operator.address), to_quantity(OPERATOR_BALANCE_WEI))
    head = await anvil.call("eth_getBlockByNumber", "latest", False)
    if int(await anvil.call("eth_getBalance", head["miner"], "latest"), 16) == 0:
        # A transfer to an account that does not exist yet costs more, and no block of a real builder pays that.
        await anvil.call("anvil_setBalance", head["miner"], to_quantity(FEE_RECIPIENT_BALANCE_WEI))
    return Executor(
        address=ours.executor,
        build=build.name,
        code_hash=runtime_code_hash(build, weth=WETH),
        vault=ours.vault,
        weth=WETH,
        operators=tuple(key.address for key in ours.operators),
    )


async def _plant_dust(anvil: Anvil, token: StartToken, holder: Address, *, sender: Address) -> None:
    """One unit of the token, so that the first profit costs no fresh slot; taken back where it does not show.

    A token whose balances lie elsewhere than on mainnet keeps none: that costs gas, which is measured.
    """
    place = to_data(keccak256(holder.rjust(32, b"\0") + token.balance_slot.to_bytes(32, "big")))
    before = await anvil.call("eth_getStorageAt", to_data(token.address), place, "latest")
    await anvil.call("anvil_setStorageAt", to_data(token.address), place, f"0x{DUST:064x}")
    question = [(token.address, _BALANCE_OF + holder.rjust(32, b"\0"))]
    (shown,) = await view(anvil.rpc, question, sender=sender, block="latest")
    if shown is None or int.from_bytes(shown, "big") != DUST:
        await anvil.call("anvil_setStorageAt", to_data(token.address), place, before)
