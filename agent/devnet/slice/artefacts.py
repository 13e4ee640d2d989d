"""The canonical contracts, read from their npm packages and held to the hashes they must have.

Hashes are keccak-256 of the creation code without arguments, as the pinned package versions hold it; that of the
V2 pair and of the V3 pool are also the constants in Uniswap's own libraries. WETH9 is runtime code: canonical-weth
1.3.1 differs from mainnet's only in the 32-byte metadata hash near its end, which is put right here.
The artefacts stay in the packages (GPL-2.0, GPL-3.0, BUSL-1.1): nothing of them is part of this project.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from agent.errors import SetupError
from agent.eth.keccak import keccak256
from agent.eth.units import Address

NODE_MODULES = Path(__file__).resolve().parents[3] / "node_modules"


class _Artefact(NamedTuple):
    path: str
    code_hash: str


V2_FACTORY = _Artefact(
    "@uniswap/v2-core/build/UniswapV2Factory.json", "8716c49c3c982e1d8b8beaab0a95d88cc5ec06681dded0f951fa1f3059c1e32a"
)
V2_PAIR = _Artefact(
    "@uniswap/v2-core/build/UniswapV2Pair.json", "96e8ac4277198ff8b6f785478aa9a39f403cb768dd02cbee326c3e7da348845f"
)
V2_ROUTER = _Artefact(
    "@uniswap/v2-periphery/build/UniswapV2Router02.json",
    "60ed3c9563fab19baceb6555668bf136db1f18d96b3b177f3726fccdb254f94b",
)
V3_FACTORY = _Artefact(
    "@uniswap/v3-core/artifacts/contracts/UniswapV3Factory.sol/UniswapV3Factory.json",
    "a9cb11ffa1b1bf9a9a2b70b66f6a22db3e8328b37ec44e6ce602749081efdb6d",
)
V3_POOL = _Artefact(
    "@uniswap/v3-core/artifacts/contracts/UniswapV3Pool.sol/UniswapV3Pool.json",
    "e34f199b19b2b4f47f68442619d555527d244f78a3297ea89325f843f87b8b54",
)
V3_ROUTER = _Artefact(
    "@uniswap/v3-periphery/artifacts/contracts/SwapRouter.sol/SwapRouter.json",
    "4ab2bb678b8aa5c9267d00ec2ac6e6603909f2a6c9e8c59daaaf5f4af1ba6710",
)
QUOTER_V2 = _Artefact(
    "@uniswap/v3-periphery/artifacts/contracts/lens/QuoterV2.sol/QuoterV2.json",
    "807900529037b0db5b299ed312e4b1820210b5e9922b6c4fcd4c23de67ee5f1a",
)
TICK_LENS = _Artefact(
    "@uniswap/v3-periphery/artifacts/contracts/lens/TickLens.sol/TickLens.json",
    "5aa22b1e9d3b0b48f5b5c7d92204903de53b1820bae045c6b55f2c31cf3e558c",
)

WETH9_CODE_HASH = "d0a06b12ac47863b5c7be4185c2deaad1c61557033f56c7d4ea74429cbb25e23"
"""keccak-256 of the runtime code at mainnet's 0xC02aaA39…6Cc2."""
_WETH9_PATH = "canonical-weth/build/contracts/WETH9.json"
_WETH9_METADATA_HASH = bytes.fromhex("deb4c2ccab3c2fdca32ab3f46728389c2fe2c165d5fafa07661e4e004f6c344a")

SUSHI_PAIR_HASH = bytes.fromhex("e18a34eb0e04b04f7a0ac29a6e80748dca96319b42c54d679cb821dca90c6303")


def creation_code(artefact: _Artefact, *addresses: Address, node_modules: Path = NODE_MODULES) -> bytes:
    """Creation code with `addresses` as arguments; SetupError if the package is missing or another version."""
    code = _hex(_read(node_modules / artefact.path).get("bytecode"), artefact.path)
    if keccak256(code).hex() != artefact.code_hash:
        raise _wrong_version(node_modules / artefact.path)
    return code + b"".join(address.rjust(32, b"\0") for address in addresses)


def sushi_router_creation_code(*addresses: Address, node_modules: Path = NODE_MODULES) -> bytes:
    """Router02 as Sushi deployed it: the same code that computes pair addresses with Sushi's hash."""
    code = creation_code(V2_ROUTER, *addresses, node_modules=node_modules)
    return code.replace(bytes.fromhex(V2_PAIR.code_hash), SUSHI_PAIR_HASH)


def v2_pair_runtime(*, node_modules: Path = NODE_MODULES) -> bytes:
    """Runtime code of a Uniswap V2 pair; it has no immutables, so it is the same at every address."""
    artefact = _read(node_modules / V2_PAIR.path)
    creation_code(V2_PAIR, node_modules=node_modules)
    evm = artefact.get("evm")
    deployed = evm.get("deployedBytecode") if isinstance(evm, dict) else None
    return _hex(deployed.get("object") if isinstance(deployed, dict) else None, V2_PAIR.path)


def weth9_runtime(*, node_modules: Path = NODE_MODULES) -> bytes:
    """Runtime code of WETH9, byte for byte mainnet's."""
    code = _hex(_read(node_modules / _WETH9_PATH).get("deployedBytecode"), _WETH9_PATH)
    code = code[:-34] + _WETH9_METADATA_HASH + code[-2:]
    if keccak256(code).hex() != WETH9_CODE_HASH:
        raise _wrong_version(node_modules / _WETH9_PATH)
    return code


def _read(path: Path) -> dict[str, object]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except (OSError, msgspec.DecodeError) as error:
        raise SetupError(
            f"a protocol contract is missing: {path} ({type(error).__name__})",
            code="E_PACKAGE_MISSING",
            hint="run `make setup`: it installs the npm packages that the slice is made of",
        ) from error


def _hex(value: object, path: str) -> bytes:
    if not isinstance(value, str):
        raise _wrong_version(Path(path))
    return bytes.fromhex(value.removeprefix("0x"))


def _wrong_version(path: Path) -> SetupError:
    return SetupError(
        f"{path} is not the version that the slice is made of: its code has another hash",
        code="E_PACKAGE_VERSION",
        hint="run `make setup`: package-lock.json names the right versions",
    )
