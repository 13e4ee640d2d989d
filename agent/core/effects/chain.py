"""What the core asks of the on-chain venue. A drop is an effect too: a decision not to act has a code like any other."""

from __future__ import annotations

import msgspec

from agent.core.codes import Code


class Execute(msgspec.Struct, frozen=True, tag="execute", gc=False):
    """Simulate this opportunity on its own state."""

    id: str


class Hold(msgspec.Struct, frozen=True, tag="hold", gc=False):
    """The candidate passed; keep it for the selection of its block."""

    id: str
    net_wei: int


class Submit(msgspec.Struct, frozen=True, tag="submit", gc=False):
    """Sign and send the candidate's bundle for `target_number`."""

    id: str
    target_number: int


class Cancel(msgspec.Struct, frozen=True, tag="cancel", gc=False):
    """Withdraw a live bundle."""

    id: str
    reason: str


class Drop(msgspec.Struct, frozen=True, tag="drop", gc=False):
    """Do not act, and why: `detail` holds the figures of the decision."""

    id: str
    code: Code
    detail: str


ChainEffect = Execute | Hold | Submit | Cancel | Drop
