"""What tokens call themselves and how many decimals they show: for a person's eyes, never to compute with.

Text from a contract is anybody's: it is cut to a few printable letters, and a token that says nothing usable goes by its
address. Decimals are those of ERC-20's optional `decimals()`; a contract that gives none, or an absurd number, has 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agent.chain.discovery import BatchRpc, view
from agent.chain.known_pools import KNOWN_TOKENS
from agent.eth.hexes import to_data
from agent.eth.units import Address

_SYMBOL = bytes.fromhex("95d89b41")
_DECIMALS = bytes.fromhex("313ce567")
_LETTERS = 12
_MAX_DECIMALS = 36


class TokenName(msgspec.Struct, frozen=True):
    """How a token is shown."""

    symbol: str
    decimals: int


_KNOWN = {token.address: TokenName(token.symbol, token.decimals) for token in KNOWN_TOKENS}


async def token_names(
    rpc: BatchRpc, tokens: Sequence[Address], *, sender: Address, block: str = "latest"
) -> Mapping[Address, TokenName]:
    """The names of all of these; tokens that we list are not asked."""
    names = {token: _KNOWN[token] for token in tokens if token in _KNOWN}
    asked = [token for token in dict.fromkeys(tokens) if token not in names]
    calls = [(token, getter) for token in asked for getter in (_SYMBOL, _DECIMALS)]
    answers = await view(rpc, calls, sender=sender, block=block)
    for position, token in enumerate(asked):
        symbol, decimals = answers[2 * position], answers[2 * position + 1]
        names[token] = TokenName(_text(symbol) or short_address(token), _number(decimals))
    return names


def short_address(address: Address) -> str:
    """An address with its middle left out."""
    text = to_data(address)
    return f"{text[:6]}…{text[-4:]}"


def _text(answer: bytes | None) -> str:
    """The letters of an ABI string, or of the bytes32 that old tokens return; empty for anything else."""
    if answer is None:
        return ""
    raw = answer[:32]
    if len(answer) >= 64 and int.from_bytes(answer[:32], "big") == 32:
        length = int.from_bytes(answer[32:64], "big")
        raw = answer[64 : 64 + min(length, 4 * _LETTERS)]
    letters = raw.rstrip(b"\0").decode("utf-8", errors="ignore")
    return "".join(letter for letter in letters if letter.isascii() and letter.isprintable() and letter != " ")[
        :_LETTERS
    ]


def _number(answer: bytes | None) -> int:
    value = 0 if answer is None or len(answer) < 32 else int.from_bytes(answer[:32], "big")
    return value if value <= _MAX_DECIMALS else 0
