"""Typed structured data: what wallets sign for orders and permits, hashed.

Struct types are given as fields in order; values are ints, bools, bytes (also addresses), text, lists and
mappings. A value that does not fit its type is an AbiError, never padded or cut. Source: EIP-712.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from agent.eth.abi import AbiError, encode
from agent.eth.keccak import keccak256
from agent.eth.units import Hash32

Types: TypeAlias = Mapping[str, Sequence[tuple[str, str]]]
"""Struct name to its fields, each a name and a type."""

DOMAIN_FIELDS: tuple[tuple[str, str], ...] = (
    ("name", "string"),
    ("version", "string"),
    ("chainId", "uint256"),
    ("verifyingContract", "address"),
    ("salt", "bytes32"),
)
"""Fields a domain may have, in the order in which they are hashed."""

_ARRAY = re.compile(r"(.+)\[([0-9]*)\]")


def typed_data_digest(domain: Mapping[str, Any], primary: str, types: Types, message: Mapping[str, Any]) -> Hash32:
    """The 32 bytes that a key signs for `message`, a struct of type `primary`, in this domain."""
    return keccak256(b"\x19\x01" + domain_separator(domain) + hash_struct(primary, types, message))


def domain_separator(domain: Mapping[str, Any]) -> Hash32:
    """The hash of a domain; its type has exactly the fields that are given."""
    fields = [field for field in DOMAIN_FIELDS if field[0] in domain]
    if len(fields) != len(domain) or not fields:
        raise AbiError(f"a domain has fields of {[name for name, _ in DOMAIN_FIELDS]}, not {sorted(domain)[:8]}")
    return hash_struct("EIP712Domain", {"EIP712Domain": fields}, domain)


def hash_struct(name: str, types: Types, value: Mapping[str, Any]) -> Hash32:
    """The hash of a struct's type and of its fields; each field must be there and no other."""
    fields = types[name]
    if not isinstance(value, Mapping) or value.keys() != {field for field, _ in fields}:
        raise AbiError(f"a {name} has exactly the fields {[field for field, _ in fields]}")
    words = b"".join(_encode_field(kind, types, value[field]) for field, kind in fields)
    return keccak256(keccak256(encode_type(name, types).encode()) + words)


def encode_type(name: str, types: Types) -> str:
    """`Name(type field,…)`, followed by the structs it refers to, in order of name."""
    found: set[str] = set()
    _collect(name, types, found)
    return "".join(
        f"{struct}({','.join(f'{kind} {field}' for field, kind in types[struct])})"
        for struct in (name, *sorted(found - {name}))
    )


def _collect(name: str, types: Types, found: set[str]) -> None:
    if name in found:
        return
    found.add(name)
    for _, kind in types[name]:
        base = kind.partition("[")[0]
        if base in types:
            _collect(base, types, found)


def _encode_field(kind: str, types: Types, value: Any) -> bytes:
    """The word by which a field enters its struct's hash."""
    array = _ARRAY.fullmatch(kind)
    if array is not None:
        member, count = array[1], array[2]
        if not isinstance(value, (list, tuple)) or (count and len(value) != int(count)):
            raise AbiError(f"{str(value)[:60]!r} is no {kind}")
        return keccak256(b"".join(_encode_field(member, types, one) for one in value))
    if kind in types:
        return hash_struct(kind, types, value)
    if kind in ("bytes", "string"):
        encode([kind], [value])  # refuses what does not fit
        return keccak256(value if isinstance(value, bytes) else value.encode())
    return encode([kind], [value])
