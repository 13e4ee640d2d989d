"""The executor's calldata: a plan packed byte by byte, and the figures that a run returns.

The layout is defined and documented in contracts/src/libraries/PlanLib.sol; amounts are in units of their
tokens. A V2-style leg carries what leaves its pool, a V3-style leg what enters it, because these are what the
pools are told; so a decoded plan knows one amount a leg, and `encode_run(plan) == calldata` is the full comparison.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from agent.eth.keccak import keccak256
from agent.eth.units import Address, Hash32
from agent.strategies.arb.opportunity import Leg

RUN_SELECTOR = keccak256(b"run_0p4qx()")[:4]
HEAD_SIZE = 26
LEG_SIZE = 37
MAINNET_WETH = Address(bytes.fromhex("c02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"))
MAX_LEGS = 16
"""Far above what pays; the contract could take 255."""
BPS = 10_000

_PARENT_HASH = 1
_LENDS_EARLY = 2
_NAMES_START_TOKEN = 4
_ZERO_FOR_ONE = 1
_V3_STYLE = 2
_BY_FACTORY = 4


class PlanError(ValueError):
    """The route cannot be put into the executor's calldata, or bytes are not such calldata. Drop the candidate."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the executor. `floor_amount` is the least profit after payment, in units of `start_token`.

    `lender` is the index of the leg whose output is used before its input is paid, None for the last leg. All legs
    behind it must be V2-style. Name an earlier one where the last pool's callback is not proved.
    `factory_pools` are proved to the contract by their factory instead of standing on the owner's list.
    """

    start_token: Address
    legs: tuple[Leg, ...]
    last_block: int
    parent_hash: Hash32 | None
    payment_bps: int
    floor_amount: int
    lender: int | None = None
    factory_pools: frozenset[Address] = frozenset()


class PackedLeg(NamedTuple):
    """A leg as the calldata holds it. `amount` leaves a V2-style pool and enters a V3-style one."""

    pool: Address
    is_v3_style: bool
    is_zero_for_one: bool
    is_by_factory: bool
    amount: int


class PackedPlan(NamedTuple):
    """All that the calldata of a run holds."""

    start_token: Address | None
    """None: WETH, which the contract knows."""
    legs: tuple[PackedLeg, ...]
    lender: int
    amount_in: int
    """What leg 0 takes of the start token."""
    lent_token: Address | None
    """Only where a V2-style leg lends before the end: the token that passes through the executor."""
    last_block: int
    parent_hash: Hash32 | None
    payment_bps: int
    floor_amount: int


def encode_run(plan: Plan, *, weth: Address = MAINNET_WETH) -> bytes:
    """Calldata of `run` for the plan; raises PlanError where the contract could not do what the plan says.

    `weth` is the one that the executor was built with; a start token that is it need not be named.
    """
    return encode_packed(pack(plan, weth=weth))


def pack(plan: Plan, *, weth: Address = MAINNET_WETH) -> PackedPlan:
    """The plan as the calldata will hold it, checked."""
    if not plan.legs:
        raise PlanError("a plan needs a leg")
    if plan.legs[0].token_in != plan.start_token or plan.legs[-1].token_out != plan.start_token:
        raise PlanError("the route does not begin and end in the start token")
    if any(a.token_out != b.token_in for a, b in zip(plan.legs, plan.legs[1:], strict=False)):
        raise PlanError("the legs do not follow one another")
    legs = tuple(_pack_leg(leg, is_by_factory=leg.pool in plan.factory_pools) for leg in plan.legs)
    lender = len(legs) - 1 if plan.lender is None else plan.lender
    if not 0 <= lender < len(legs):
        raise PlanError(f"leg {lender} cannot lend: there are {len(legs)}")
    lends_early = lender + 1 < len(legs) and not legs[lender].is_v3_style
    return PackedPlan(
        start_token=None if plan.start_token == weth else plan.start_token,
        legs=legs,
        lender=lender,
        amount_in=plan.legs[0].amount_in,
        lent_token=plan.legs[lender].token_out if lends_early else None,
        last_block=plan.last_block,
        parent_hash=plan.parent_hash,
        payment_bps=plan.payment_bps,
        floor_amount=plan.floor_amount,
    )


def _pack_leg(leg: Leg, *, is_by_factory: bool) -> PackedLeg:
    if leg.kind not in ("v2", "v3"):
        raise PlanError(f"the executor has no call for a pool of kind {leg.kind!r}")
    is_v3_style = leg.kind == "v3"
    return PackedLeg(
        pool=leg.pool,
        is_v3_style=is_v3_style,
        is_zero_for_one=leg.token_in < leg.token_out,
        is_by_factory=is_by_factory,
        amount=leg.amount_in if is_v3_style else leg.amount_out,
    )


def encode_packed(packed: PackedPlan) -> bytes:
    """The bytes; raises PlanError for a field that does not fit or an order of legs that cannot be financed."""
    if not 1 <= len(packed.legs) <= MAX_LEGS:
        raise PlanError(f"1 to {MAX_LEGS} legs, not {len(packed.legs)}")
    lends_early = packed.lender + 1 < len(packed.legs) and not packed.legs[packed.lender].is_v3_style
    if lends_early != (packed.lent_token is not None):
        raise PlanError("a lent token is named exactly where a V2-style leg lends before the end")
    if any(leg.is_v3_style for leg in packed.legs[packed.lender + 1 :]):
        raise PlanError("a V3-style leg behind the lender could not be paid")
    if not 0 <= packed.payment_bps <= BPS:
        raise PlanError(f"a payment of {packed.payment_bps} bps is not a share")
    if packed.payment_bps and packed.start_token is not None:
        raise PlanError("the fee recipient is paid out of WETH only")
    flags = (
        _PARENT_HASH * (packed.parent_hash is not None)
        + _LENDS_EARLY * (packed.lent_token is not None)
        + _NAMES_START_TOKEN * (packed.start_token is not None)
    )
    out = bytearray(RUN_SELECTOR)
    out += bytes((len(packed.legs), packed.lender, flags))
    out += packed.payment_bps.to_bytes(2, "big")
    out += _fit("last_block", packed.last_block, 5)
    out += _fit("floor_amount", packed.floor_amount, 16)
    for leg in packed.legs:
        out.append(_ZERO_FOR_ONE * leg.is_zero_for_one + _V3_STYLE * leg.is_v3_style + _BY_FACTORY * leg.is_by_factory)
        out += _sized("pool", leg.pool, 20)
        out += _fit("amount", leg.amount, 16, least=1)
    if not packed.legs[0].is_v3_style:
        out += _fit("amount_in", packed.amount_in, 16, least=1)
    if packed.start_token is not None:
        out += _sized("start_token", packed.start_token, 20)
    if packed.lent_token is not None:
        out += _sized("lent_token", packed.lent_token, 20)
    if packed.parent_hash is not None:
        out += _sized("parent_hash", packed.parent_hash, 32)
    return bytes(out)


def decode_run(calldata: bytes) -> PackedPlan:
    """What the contract will read from `calldata`; raises PlanError unless it is the one encoding of a plan."""
    if calldata[:4] != RUN_SELECTOR or len(calldata) < 4 + HEAD_SIZE:
        raise PlanError("not a call of run()")
    plan = calldata[4:]
    leg_count, lender, flags = plan[0], plan[1], plan[2]
    legs_end = HEAD_SIZE + leg_count * LEG_SIZE
    if leg_count == 0 or lender >= leg_count or legs_end > len(plan):
        raise PlanError("the plan's head does not fit its length")
    legs = tuple(_decode_leg(plan[at : at + LEG_SIZE]) for at in range(HEAD_SIZE, legs_end, LEG_SIZE))
    at = legs_end
    amount_in = legs[0].amount
    if not legs[0].is_v3_style:
        amount_in = int.from_bytes(plan[at : at + 16], "big")
        at += 16
    start_token = None
    if flags & _NAMES_START_TOKEN:
        start_token = Address(plan[at : at + 20])
        at += 20
    lent_token = None
    if flags & _LENDS_EARLY:
        lent_token = Address(plan[at : at + 20])
        at += 20
    packed = PackedPlan(
        start_token=start_token,
        legs=legs,
        lender=lender,
        amount_in=amount_in,
        lent_token=lent_token,
        last_block=int.from_bytes(plan[5:10], "big"),
        parent_hash=Hash32(plan[at : at + 32]) if flags & _PARENT_HASH else None,
        payment_bps=int.from_bytes(plan[3:5], "big"),
        floor_amount=int.from_bytes(plan[10:26], "big"),
    )
    if encode_packed(packed) != calldata:
        raise PlanError("the bytes are not the one encoding of what they say")
    return packed


def _decode_leg(raw: bytes) -> PackedLeg:
    flags = raw[0]
    return PackedLeg(
        pool=Address(raw[1:21]),
        is_v3_style=bool(flags & _V3_STYLE),
        is_zero_for_one=bool(flags & _ZERO_FOR_ONE),
        is_by_factory=bool(flags & _BY_FACTORY),
        amount=int.from_bytes(raw[21:37], "big"),
    )


def decode_result(return_data: bytes) -> tuple[int, int]:
    """(gross, payment) of a run: units of the start token as measured by the executor, and wei to the fee recipient."""
    if len(return_data) != 64:
        raise PlanError(f"a run returns 64 bytes, not {len(return_data)}")
    return int.from_bytes(return_data[:32], "big"), int.from_bytes(return_data[32:], "big")


def _fit(name: str, value: int, size: int, *, least: int = 0) -> bytes:
    if not least <= value < 1 << (8 * size):
        raise PlanError(f"{name} {value} is not in {least}..2^{8 * size}-1")
    return value.to_bytes(size, "big")


def _sized(name: str, value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise PlanError(f"{name} has {len(value)} bytes, not {size}")
    return value
