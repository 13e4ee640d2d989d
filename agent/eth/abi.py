"""The contract ABI: values to calldata and back, by type text such as `(address,uint256)[]`.

`encode` and `decode` are general; hot paths join `word` and `address_word` themselves. Decoding
bounds everything by the bytes at hand, so hostile return data costs no more than its size.
Source: Solidity documentation, "Contract ABI Specification".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from agent.eth.keccak import keccak256
from agent.eth.units import Address

WORD = 32


class AbiError(ValueError):
    """A type that does not exist, a value that does not fit it, or bytes that do not encode it."""


@lru_cache(maxsize=1024)
def selector(signature: str) -> bytes:
    """First four bytes of the hash of `name(type,…)`."""
    return keccak256(signature.encode())[:4]


def word(value: int) -> bytes:
    """A uint256; OverflowError outside its range."""
    return value.to_bytes(WORD, "big")


def signed_word(value: int) -> bytes:
    """An int256; OverflowError outside its range."""
    return value.to_bytes(WORD, "big", signed=True)


def address_word(address: bytes) -> bytes:
    """A left-padded address."""
    return b"\0\0\0\0\0\0\0\0\0\0\0\0" + address


def encode_call(signature: str, *values: Any) -> bytes:
    """Calldata of `name(type,…)` with these values."""
    name, bracket, inner = signature.partition("(")
    if not name or not bracket:
        raise AbiError(f"not a function signature: {signature[:80]}")
    return selector(signature) + _parse("(" + inner).encode(values)


def encode(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """The values as function arguments are encoded, without selector."""
    return _parse(f"({','.join(types)})").encode(values)


def decode(types: Sequence[str], raw: bytes) -> tuple[Any, ...]:
    """The values: ints, bools, bytes (also for addresses), str, lists for arrays, tuples for tuples."""
    budget = _Budget(len(raw) // WORD * 4 + 16)
    result: tuple[Any, ...] = _parse(f"({','.join(types)})").decode(raw, 0, 0, budget)
    return result


class _Budget:
    """How many values may still be decoded: offsets may point anywhere, so size alone bounds nothing."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise AbiError("the encoding names more values than its bytes can hold")


class _Type:
    """One node of a parsed type. `head` is its size in bytes where it stands, an offset's if dynamic."""

    __slots__ = ("head", "is_dynamic", "text")

    def __init__(self, text: str, *, head: int = WORD, is_dynamic: bool = False) -> None:
        self.text = text
        self.head = head
        self.is_dynamic = is_dynamic

    def encode(self, value: Any) -> bytes:
        raise NotImplementedError

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> Any:
        """The value whose body starts at base + at."""
        raise NotImplementedError

    def misfit(self, value: Any) -> AbiError:
        return AbiError(f"{str(value)[:60]!r} is no {self.text}")


class _Integer(_Type):
    __slots__ = ("high", "low", "signed")

    def __init__(self, text: str, bits: int, *, signed: bool) -> None:
        super().__init__(text)
        self.signed = signed
        self.low = -(1 << (bits - 1)) if signed else 0
        self.high = (1 << (bits - 1 if signed else bits)) - 1

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            raise self.misfit(value)
        return value.to_bytes(WORD, "big", signed=self.signed)

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> int:
        value = int.from_bytes(_take(raw, base + at, WORD), "big", signed=self.signed)
        if not self.low <= value <= self.high:
            raise self.misfit(value)
        return value


class _Bool(_Type):
    __slots__ = ()

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bool):
            raise self.misfit(value)
        return word(value)

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> bool:
        value = int.from_bytes(_take(raw, base + at, WORD), "big")
        if value > 1:
            raise self.misfit(value)
        return value == 1


class _Address(_Type):
    __slots__ = ()

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) != 20:
            raise self.misfit(value)
        return address_word(value)

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> Address:
        value = _take(raw, base + at, WORD)
        if any(value[:12]):
            raise self.misfit(value.hex())
        return Address(value[12:])


class _FixedBytes(_Type):
    __slots__ = ("size",)

    def __init__(self, text: str, size: int) -> None:
        super().__init__(text)
        self.size = size

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) != self.size:
            raise self.misfit(value)
        return value.ljust(WORD, b"\0")

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> bytes:
        value = _take(raw, base + at, WORD)
        if any(value[self.size :]):
            raise self.misfit(value.hex())
        return value[: self.size]


class _Bytes(_Type):
    """`bytes` and `string`; padding behind the content is not looked at, as contracts do not either."""

    __slots__ = ()

    def __init__(self, text: str) -> None:
        super().__init__(text, is_dynamic=True)

    def encode(self, value: Any) -> bytes:
        if self.text == "string" and isinstance(value, str):
            content = value.encode()
        elif self.text == "bytes" and isinstance(value, bytes):
            content = value
        else:
            raise self.misfit(value)
        return word(len(content)) + content.ljust(-(-len(content) // WORD) * WORD, b"\0")

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> bytes | str:
        start = base + at
        size = int.from_bytes(_take(raw, start, WORD), "big")
        value = _take(raw, start + WORD, size)
        budget.spend(-(-size // WORD))
        if self.text == "bytes":
            return value
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise AbiError("a string that is not UTF-8") from None


class _Tuple(_Type):
    __slots__ = ("members",)

    def __init__(self, text: str, members: Sequence[_Type]) -> None:
        is_dynamic = any(member.is_dynamic for member in members)
        super().__init__(text, head=WORD if is_dynamic else sum(m.head for m in members), is_dynamic=is_dynamic)
        self.members = members

    def encode(self, value: Any) -> bytes:
        return _encode_members(self, self.members, value)

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> tuple[Any, ...]:
        return tuple(_decode_members(self.members, raw, base + at, budget))


class _Array(_Type):
    """`T[]` (length None) and `T[k]`."""

    __slots__ = ("length", "member")

    def __init__(self, text: str, member: _Type, length: int | None) -> None:
        is_dynamic = length is None or member.is_dynamic
        super().__init__(text, head=WORD if is_dynamic else member.head * (length or 0), is_dynamic=is_dynamic)
        self.member = member
        self.length = length

    def encode(self, value: Any) -> bytes:
        if not isinstance(value, (list, tuple)):
            raise self.misfit(value)
        count = len(value) if self.length is None else self.length
        body = _encode_members(self, [self.member] * count, value)
        return body if self.length is not None else word(count) + body

    def decode(self, raw: bytes, base: int, at: int, budget: _Budget) -> list[Any]:
        start, count = base + at, self.length
        if count is None:
            count = int.from_bytes(_take(raw, start, WORD), "big")
            start += WORD
            if count * self.member.head > len(raw) - start:
                raise AbiError(f"an array of {count} members in {len(raw) - start} bytes")
        return _decode_members([self.member] * count, raw, start, budget)


def _encode_members(owner: _Type, members: Sequence[_Type], values: Any) -> bytes:
    if not isinstance(values, (list, tuple)) or len(values) != len(members):
        raise owner.misfit(values)
    heads: list[bytes] = []
    tails: list[bytes] = []
    offset = sum(member.head for member in members)
    for member, value in zip(members, values, strict=True):
        body = member.encode(value)
        if member.is_dynamic:
            heads.append(word(offset))
            tails.append(body)
            offset += len(body)
        else:
            heads.append(body)
    return b"".join(heads + tails)


def _decode_members(members: Sequence[_Type], raw: bytes, base: int, budget: _Budget) -> list[Any]:
    budget.spend(len(members))
    values: list[Any] = []
    at = 0
    for member in members:
        where = int.from_bytes(_take(raw, base + at, WORD), "big") if member.is_dynamic else at
        values.append(member.decode(raw, base, where, budget))
        at += member.head
    return values


def _take(raw: bytes, start: int, size: int) -> bytes:
    stop = start + size
    if stop > len(raw):
        raise AbiError(f"{size} bytes at {start} of {len(raw)}")
    return raw[start:stop]


@lru_cache(maxsize=512)
def _parse(text: str) -> _Type:
    if text.endswith("]"):
        inner, _, count = text[:-1].rpartition("[")
        if count and not _is_size(count):
            raise AbiError(f"no such type: {text[:80]}")
        return _Array(text, _parse(inner), int(count) if count else None)
    if text.startswith("("):
        return _Tuple(text, [_parse(part) for part in _split(text)])
    if text == "address":
        return _Address(text)
    if text == "bool":
        return _Bool(text)
    if text in ("bytes", "string"):
        return _Bytes(text)
    for prefix, limit, step in (("uint", 256, 8), ("int", 256, 8), ("bytes", 32, 1)):
        digits = text.removeprefix(prefix)
        if digits != text and _is_size(digits):
            size = int(digits)
            if size <= limit and size % step == 0:
                return _FixedBytes(text, size) if prefix == "bytes" else _Integer(text, size, signed=prefix == "int")
    raise AbiError(f"no such type: {text[:80]}")


def _is_size(digits: str) -> bool:
    return digits.isascii() and digits.isdigit() and digits[0] != "0"


def _split(text: str) -> list[str]:
    """The members of `(…)`, commas inside brackets not counted."""
    if not text.endswith(")"):
        raise AbiError(f"no such type: {text[:80]}")
    parts: list[str] = []
    depth, start = 0, 1
    for i, char in enumerate(text):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0 and i != len(text) - 1:
                raise AbiError(f"no such type: {text[:80]}")
        if (char == "," and depth == 1) or (char == ")" and depth == 0):
            parts.append(text[start:i])
            start = i + 1
    if depth:
        raise AbiError(f"no such type: {text[:80]}")
    return [] if parts == [""] else parts
