"""The root of a Merkle-Patricia trie built from all its pairs at once.

Enough to check a block's lists (transactions, receipts, withdrawals); nothing is stored or proved.
Source: Yellow Paper, appendix D.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.eth import rlp
from agent.eth.keccak import keccak256
from agent.eth.units import Hash32

EMPTY_ROOT = keccak256(b"\x80")


def ordered_root(values: Iterable[bytes]) -> Hash32:
    """Root of the trie that maps RLP(index) to each value, as block headers commit to their lists."""
    return trie_root({rlp.encode_int(index): value for index, value in enumerate(values)})


def trie_root(pairs: Mapping[bytes, bytes]) -> Hash32:
    """Root of the trie that holds exactly `pairs`; ValueError for an empty value, which means absence."""
    if not pairs:
        return EMPTY_ROOT
    if not all(pairs.values()):
        raise ValueError("a trie holds no empty value")
    items = sorted((_nibbles(key), value) for key, value in pairs.items())
    return keccak256(_node(items, 0))


def _node(items: list[tuple[bytes, bytes]], depth: int) -> bytes:
    """RLP of the node over `items`, sorted, which agree in their first `depth` nibbles."""
    first, last = items[0][0], items[-1][0]
    if len(items) == 1:
        return rlp.encode_list(
            [rlp.encode_bytes(_hex_prefix(first[depth:], is_leaf=True)), rlp.encode_bytes(items[0][1])]
        )
    shared = depth
    limit = min(len(first), len(last))
    while shared < limit and first[shared] == last[shared]:
        shared += 1
    if shared > depth:
        path = rlp.encode_bytes(_hex_prefix(first[depth:shared], is_leaf=False))
        return rlp.encode_list([path, _reference(_node(items, shared))])
    value = b""
    if len(first) == depth:  # sorted: the key that ends here comes first
        value = items[0][1]
        items = items[1:]
    children = [b"\x80"] * 16
    start = 0
    for end in range(1, len(items) + 1):
        if end == len(items) or items[end][0][depth] != items[start][0][depth]:
            children[items[start][0][depth]] = _reference(_node(items[start:end], depth + 1))
            start = end
    return rlp.encode_list([*children, rlp.encode_bytes(value)])


def _reference(node: bytes) -> bytes:
    """How a parent names a node: its own RLP when shorter than a hash, else its hash."""
    return node if len(node) < 32 else b"\xa0" + keccak256(node)


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _hex_prefix(nibbles: bytes, *, is_leaf: bool) -> bytes:
    flag = 2 if is_leaf else 0
    if len(nibbles) % 2:
        head, rest = bytes(((flag + 1) << 4 | nibbles[0],)), nibbles[1:]
    else:
        head, rest = bytes((flag << 4,)), nibbles
    return head + bytes(rest[i] << 4 | rest[i + 1] for i in range(0, len(rest), 2))
