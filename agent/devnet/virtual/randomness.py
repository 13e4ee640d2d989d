"""Random numbers by name: one stream for each concern, each a function of the seed and the name alone.

A stream that is drawn from more often does not shift another: taking a fault away leaves the workload, the latencies
and every other fault as they were, which is what lets a failing run be made smaller.
"""

from __future__ import annotations

import random
from hashlib import blake2b


def derived_seed(seed: int, name: str) -> int:
    """64 bits from the digest of `seed` and `name`; the same in every process and on every machine."""
    return int.from_bytes(blake2b(f"{seed}|{name}".encode(), digest_size=8).digest(), "big")


class Streams:
    """All streams of one seed. A name always gives the same stream object, where it was left."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def __getitem__(self, name: str) -> random.Random:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = random.Random(derived_seed(self.seed, name))
        return stream

    def child(self, name: str) -> Streams:
        """Streams of their own for a part that names its own concerns."""
        return Streams(derived_seed(self.seed, name))


class SeededEntropy:
    """The simulated form of `agent.ports.entropy.Entropy`."""

    def __init__(self, stream: random.Random) -> None:
        self._stream = stream

    def below(self, bound: int) -> int:
        return self._stream.randrange(bound)

    def token(self, size: int) -> bytes:
        return self._stream.randbytes(size)
