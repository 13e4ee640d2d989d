"""Put the executor on a chain: say what would be done, do it when told to, and check what then stands there.

Through the CREATE2 deployer that most chains have, the address is a function of the build and its settings, so a
second deployment finds the first and sends nothing. Where the deployer is missing, the address follows from the
sender's nonce, and only the address in the configuration tells the next run that the contract is there.

This is set-up, not the hot path: web3 speaks to the node. Amounts are wei.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import requests
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractLogicError, TimeExhausted, Web3Exception

from agent.errors import ConfigError, OutcomeUnknown, SetupError
from agent.eth.hexes import address_text, to_data
from agent.eth.keccak import keccak256
from agent.eth.keys import Signer, sign_dynamic_fee
from agent.eth.rlp import encode_bytes, encode_int, encode_list
from agent.eth.units import Address, Hash32
from agent.requests import Answer, DeployRequest
from agent.settings import Reference, Settings
from agent.venues.onchain.executor import (
    BuildName,
    ExecutorBuild,
    FactoryEntry,
    deployment_data,
    load_build,
    runtime_code_hash,
)
from agent.venues.onchain.keystore import load_keystore

CREATE2_DEPLOYER = Address(bytes.fromhex("4e59b44847b379578588920ca78fbf26c0b4956c"))
"""Arachnid's deterministic deployment proxy: calldata is a salt and init code."""
CREATE2_DEPLOYER_CODE_HASH = Hash32(bytes.fromhex("2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989"))
SALT = bytes(32)
RECEIPT_TIMEOUT_S = 300
PASSWORD_VARIABLE = "MEV_AGENT__KEYSTORE_PASSWORD"


def _address(text: str) -> Address:
    return Address(bytes.fromhex(text))


WETH_BY_CHAIN_ID: Mapping[int, Address] = {
    1: _address("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"),
    10: _address("4200000000000000000000000000000000000006"),
    8453: _address("4200000000000000000000000000000000000006"),
    42161: _address("82af49447d8a07e3bd95bd0d56f35241523fbab1"),
    11155111: _address("fff9976782d46cc05630d1f6ebab18b2324d6b14"),
}

UNISWAP_V2_FACTORY = _address("5c69bee701ef814a2b6a3edd4b1652cb9cc5aa6f")
SUSHISWAP_FACTORY = _address("c0aee478e3658e2610c5f7a4a2e1777ce9e4f2ac")
UNISWAP_V3_FACTORY = _address("1f98431c8ad98523631ae4a59f267346ea31f984")

MAINNET_FACTORIES = (
    FactoryEntry(
        UNISWAP_V2_FACTORY,
        UNISWAP_V2_FACTORY,
        Hash32(bytes.fromhex("96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f")),
    ),
    FactoryEntry(
        SUSHISWAP_FACTORY,
        SUSHISWAP_FACTORY,
        Hash32(bytes.fromhex("e18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303")),
    ),
    FactoryEntry(
        UNISWAP_V3_FACTORY,
        UNISWAP_V3_FACTORY,
        Hash32(bytes.fromhex("e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54")),
    ),
)


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a new executor starts with; the owner can change all of it but WETH."""

    weth: Address
    owner: Address
    guardian: Address
    vault: Address
    operators: tuple[Address, ...]
    tokens: tuple[Address, ...] = ()
    pools: tuple[Address, ...] = ()
    factories: tuple[FactoryEntry, ...] = ()

    def init_code(self, build: ExecutorBuild) -> bytes:
        """Creation code with its arguments."""
        return deployment_data(
            build,
            weth=self.weth,
            owner=self.owner,
            operators=self.operators,
            guardian=self.guardian,
            vault=self.vault,
            tokens=self.tokens,
            pools=self.pools,
            factories=self.factories,
        )


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What stands or would stand on the chain. `cost_wei` is the most that the transaction can cost."""

    chain_id: int
    address: Address
    build: str
    code_hash: Hash32
    init_code_hash: Hash32
    is_deterministic: bool
    is_present: bool
    """The contract was there before; nothing was sent."""
    sender: Address
    gas: int = 0
    cost_wei: int = 0
    transaction_hash: Hash32 | None = None
    """None: nothing was sent."""


def create2_address(deployer: Address, salt: bytes, init_code_hash: Hash32) -> Address:
    """EIP-1014."""
    return Address(keccak256(b"\xff" + deployer + salt + init_code_hash)[12:])


def create_address(sender: Address, nonce: int) -> Address:
    """The address of a contract that `sender` creates with `nonce`."""
    return Address(keccak256(encode_list((encode_bytes(sender), encode_int(nonce))))[12:])


def deploy(
    web3: Web3,
    setup: Setup,
    *,
    build: BuildName,
    sender: Signer | Address,
    is_broadcast: bool,
    say: Callable[[str], None] = lambda line: None,
) -> Deployment:
    """Deploy, or with `is_broadcast` false say what deploying would do.

    A bare address as sender is one that the node itself can sign for, as a devnet does. Raises SetupError where the
    chain does not fit or another code stands there than was compiled, OutcomeUnknown where no receipt came in time.
    """
    with _node_errors():
        return _deploy(web3, setup, load_build(build), sender=sender, is_broadcast=is_broadcast, say=say)


def _deploy(
    web3: Web3,
    setup: Setup,
    build: ExecutorBuild,
    *,
    sender: Signer | Address,
    is_broadcast: bool,
    say: Callable[[str], None],
) -> Deployment:
    if not web3.eth.get_code(_text(setup.weth)):
        raise SetupError(
            f"there is no contract at {address_text(setup.weth)}, which should be the wrapped ether of chain "
            f"{web3.eth.chain_id}",
            hint="check the node's chain and the address",
        )
    origin = sender.address if isinstance(sender, Signer) else sender
    init_code = setup.init_code(build)
    init_code_hash = keccak256(init_code)
    code = bytes(web3.eth.get_code(_text(CREATE2_DEPLOYER)))
    is_deterministic = keccak256(code) == CREATE2_DEPLOYER_CODE_HASH
    nonce = web3.eth.get_transaction_count(_text(origin))
    address = (
        create2_address(CREATE2_DEPLOYER, SALT, init_code_hash) if is_deterministic else create_address(origin, nonce)
    )
    planned = Deployment(
        chain_id=web3.eth.chain_id,
        address=address,
        build=build.name,
        code_hash=runtime_code_hash(build, weth=setup.weth),
        init_code_hash=init_code_hash,
        is_deterministic=is_deterministic,
        is_present=bool(web3.eth.get_code(_text(address))),
        sender=origin,
    )
    if planned.is_present:
        _require_code(web3, planned)
        return planned
    to = CREATE2_DEPLOYER if is_deterministic else None
    payload = SALT + init_code if is_deterministic else init_code
    gas = _estimate_gas(web3, origin, to, payload, build)
    base_fee_wei = int(web3.eth.get_block("latest").get("baseFeePerGas", 0))
    priority_fee_wei = int(web3.eth.max_priority_fee)
    max_fee_wei = 2 * base_fee_wei + priority_fee_wei
    planned = msgspec.structs.replace(planned, gas=gas, cost_wei=gas * max_fee_wei)
    if not is_broadcast:
        return planned
    balance_wei = web3.eth.get_balance(_text(origin))
    if balance_wei < planned.cost_wei:
        raise SetupError(
            f"{address_text(origin)} holds {balance_wei} wei; deploying may cost up to {planned.cost_wei}",
            hint="fund the account, or wait for a lower base fee",
        )
    if isinstance(sender, Signer):
        signed = sign_dynamic_fee(
            sender,
            chain_id=planned.chain_id,
            nonce=nonce,
            max_priority_fee_wei=priority_fee_wei,
            max_fee_wei=max_fee_wei,
            gas=gas,
            to=to,
            value_wei=0,
            data=payload,
        )
        sent = bytes(web3.eth.send_raw_transaction(signed.raw))
    else:
        sent = bytes(web3.eth.send_transaction(_transaction(origin, to, payload, gas)))
    say(f"sent {to_data(sent)}, waiting for its receipt")
    planned = msgspec.structs.replace(planned, transaction_hash=Hash32(sent))
    try:
        receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=RECEIPT_TIMEOUT_S)  # type: ignore[arg-type]
    except TimeExhausted:
        raise OutcomeUnknown(
            f"no receipt of {to_data(sent)} after {RECEIPT_TIMEOUT_S} s",
            hint=f"look at {address_text(address)} before sending anything again",
        ) from None
    if receipt["status"] != 1:
        raise SetupError(f"the deployment {to_data(sent)} reverted", hint="run again without --broadcast to see why")
    _require_code(web3, planned)
    return planned


def _require_code(web3: Web3, planned: Deployment) -> None:
    """The code on the chain must be the code that was compiled, to the byte."""
    found = keccak256(bytes(web3.eth.get_code(_text(planned.address))))
    if found != planned.code_hash:
        raise SetupError(
            f"the code at {address_text(planned.address)} has the hash {to_data(found)}, "
            f"not {to_data(planned.code_hash)}",
            code="E_EXECUTOR_CODE",
            hint="do not use this contract; deploy anew from a clean checkout",
        )


def _estimate_gas(web3: Web3, origin: Address, to: Address | None, payload: bytes, build: ExecutorBuild) -> int:
    try:
        return web3.eth.estimate_gas(_transaction(origin, to, payload, None))
    except (ContractLogicError, ValueError, Web3Exception) as error:
        hint = "the chain may be older than Cancun: try --build london" if build.name == "cancun" else ""
        raise SetupError(
            f"deploying the {build.name} build fails on this chain: {str(error)[:200]}", hint=hint
        ) from None


def _transaction(origin: Address, to: Address | None, payload: bytes, gas: int | None) -> Any:
    fields: dict[str, object] = {"from": address_text(origin), "data": to_data(payload)}
    if to is not None:
        fields["to"] = address_text(to)
    if gas is not None:
        fields["gas"] = gas
    return fields


def _text(address: Address) -> Any:
    """web3 wants its own checksummed type."""
    return address_text(address)


@contextmanager
def _node_errors() -> Iterator[None]:
    """What can go wrong between us and the node, as one clear message without the endpoint's address."""
    try:
        yield
    except (requests.exceptions.RequestException, ConnectionError, TimeoutError) as error:
        raise SetupError(
            f"the node does not answer: {type(error).__name__}", hint="check --rpc-url and that the node runs"
        ) from None
    except (Web3Exception, ValueError) as error:
        raise SetupError(f"the node refused: {str(error)[:200]}", hint="see the node's own log") from None


# -- for the command and the script


def deploy_by_request(request: DeployRequest, settings: Settings, say: Callable[[str], None]) -> Answer:
    """`mev-agent deploy`: owner, vault and guardian are the signer's account at first; the owner moves them later."""
    web3 = Web3(HTTPProvider(request.rpc_url))
    with _node_errors():
        chain_id = web3.eth.chain_id
        sender = _sender(web3, settings.onchain.signer)
    if settings.onchain.chain_id != chain_id and not _is_devnet(web3):
        raise SetupError(
            f"the node is on chain {chain_id}, the configuration says {settings.onchain.chain_id}",
            hint="name the right node, or set onchain.chain_id",
        )
    weth = WETH_BY_CHAIN_ID.get(chain_id)
    if weth is None:
        raise ConfigError(
            f"the wrapped ether of chain {chain_id} is not known",
            hint=f"known are chains {', '.join(map(str, WETH_BY_CHAIN_ID))}; run a devnet with --chain-id 1",
        )
    origin = sender.address if isinstance(sender, Signer) else sender
    setup = Setup(
        weth=weth,
        owner=origin,
        guardian=origin,
        vault=origin,
        operators=(origin,),
        tokens=tuple(token for token in settings.onchain.start_tokens if token != weth),
        factories=MAINNET_FACTORIES if chain_id == 1 else (),
    )
    done = deploy(web3, setup, build=request.build, sender=sender, is_broadcast=request.is_broadcast, say=say)
    warnings = ["owner, guardian and vault are the signer's account; move them to cold ones"]
    if not done.is_deterministic:
        warnings.append("this chain has no CREATE2 deployer: a second deployment would make a second contract")
    return Answer(
        data=as_json(done), text=_as_text(done), mode="devnet" if _is_devnet(web3) else "live", warnings=tuple(warnings)
    )


def as_json(done: Deployment) -> dict[str, object]:
    """The result as the JSON envelope holds it."""
    return {
        "chain_id": done.chain_id,
        "address": address_text(done.address),
        "build": done.build,
        "code_hash": to_data(done.code_hash),
        "init_code_hash": to_data(done.init_code_hash),
        "deterministic": done.is_deterministic,
        "already_present": done.is_present,
        "sender": address_text(done.sender),
        "gas": done.gas,
        "max_cost_wei": str(done.cost_wei),
        "transaction_hash": None if done.transaction_hash is None else to_data(done.transaction_hash),
    }


def _as_text(done: Deployment) -> str:
    if done.is_present:
        first = f"The executor ({done.build} build) is there already; nothing was sent."
    elif done.transaction_hash is None:
        first = f"Would deploy the executor ({done.build} build); nothing was sent. Add --broadcast to do it."
    else:
        first = f"Deployed the executor ({done.build} build); its code is what was compiled."
    lines = [first, f"  address    {address_text(done.address)}", f"  code hash  {to_data(done.code_hash)}"]
    if not done.is_present:
        lines.append(f"  gas        {done.gas}, at most {done.cost_wei} wei from {address_text(done.sender)}")
    if done.transaction_hash is not None:
        lines.append(f"  sent as    {to_data(done.transaction_hash)}")
    return "\n".join(lines) + "\n"


def _is_devnet(web3: Web3) -> bool:
    with _node_errors():
        return web3.client_version.lower().startswith("anvil")


def _sender(web3: Web3, reference: Reference | None) -> Signer | Address:
    """The configured key; without one, an account that a devnet signs for."""
    if reference is not None:
        return _open_signer(reference)
    if not _is_devnet(web3) or not web3.eth.accounts:
        raise ConfigError(
            "no key is named to deploy with",
            hint="set onchain.signer, for instance to keystore:PATH",
            where="onchain.signer",
        )
    return Address(bytes.fromhex(web3.eth.accounts[0][2:]))


def _open_signer(reference: Reference) -> Signer:
    if reference.kind == "keystore":
        password = os.environ.get(PASSWORD_VARIABLE)
        if password is None:
            raise ConfigError(
                "the keystore's password is not given",
                hint=f"set the variable {PASSWORD_VARIABLE}",
                where="onchain.signer",
            )
        return load_keystore(Path(reference.name).expanduser(), password)
    text = os.environ.get(reference.name, "") if reference.kind == "env" else _file_text(reference.name)
    try:
        return Signer(bytes.fromhex(text.removeprefix("0x")))
    except ValueError:
        # The cause is dropped on purpose: it may repeat the key.
        raise ConfigError(f"{reference} holds no private key", hint="32 bytes as hex", where="onchain.signer") from None


def _file_text(name: str) -> str:
    try:
        return Path(name).read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"cannot read {name}", hint="mend the path or its rights", where="onchain.signer") from None
