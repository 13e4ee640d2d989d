"""Every fault that the simulation can throw, by name, with the cell of the fault matrix it belongs to.

A fault has its own stream: whether it strikes depends on the seed, its name, and how often it was asked before, and on
no other fault. A rate of zero draws nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent.devnet.virtual.randomness import Streams

PPM = 1_000_000


class Fault(msgspec.Struct, frozen=True):
    """One way in which the world may fail. Rates are parts per million of the occasions at which it is asked for."""

    name: str
    cell: str
    """`component.fault` of tests/faults/matrix.toml."""
    mild_ppm: int
    brutal_ppm: int
    is_breach: bool = False
    """The peer breaks its own contract: the right answer is to stop, so few worlds have one."""


FAULTS: tuple[Fault, ...] = (
    Fault("network.lose_up", "venue.lost_frame", 10_000, 100_000),
    Fault("network.lose_down", "venue.lost_frame", 4_000, 50_000),
    Fault("network.duplicate_up", "venue.duplicate", 5_000, 80_000),
    Fault("network.duplicate_down", "venue.duplicate", 5_000, 150_000),
    Fault("network.reorder", "venue.reorder", 5_000, 150_000),
    Fault("network.slow", "venue.slow_frame", 3_000, 30_000),
    Fault("network.hold_up", "venue.partition", 500, 10_000),
    Fault("network.hold_down", "venue.partition", 500, 10_000),
    Fault("network.cut", "venue.disconnect", 500, 8_000),
    Fault("network.half_open", "venue.silent_socket", 200, 3_000),
    Fault("network.unsure_send", "venue.unsure_send", 3_000, 50_000),
    Fault("network.refuse", "venue.unreachable", 50_000, 400_000),
    Fault("http.lose_request", "venue.rest_timeout", 10_000, 200_000),
    Fault("http.lose_answer", "venue.rest_timeout", 10_000, 200_000),
    Fault("http.slow", "venue.late_answer", 30_000, 300_000),
    Fault("venue.internal", "venue.open_outcome", 10_000, 200_000),
    Fault("venue.overloaded", "venue.overloaded", 10_000, 200_000),
    Fault("venue.silent_query", "venue.silent_query", 30_000, 400_000),
    Fault("venue.not_found", "venue.not_found_live", 30_000, 300_000),
    Fault("venue.incomplete_list", "venue.incomplete_list", 50_000, 500_000),
    Fault("venue.soft_cancel_reject", "venue.cancel_rejected", 50_000, 500_000),
    Fault("venue.cancel_refused", "venue.cancel_rejected", 20_000, 200_000),
    Fault("venue.late_fill", "venue.fill_after_cancel", 50_000, 400_000),
    Fault("venue.amend_refused", "venue.amend_rejected", 50_000, 400_000),
    Fault("venue.cancels_itself", "venue.canceled_by_venue", 500, 10_000),
    Fault("venue.dust", "venue.dust_fills", 20_000, 200_000),
    Fault("venue.restart", "venue.restart", 1_000, 10_000),
    Fault("venue.bust", "venue.bust", 1_000, 10_000),
    Fault("venue.overfill", "venue.overfill", 5_000, 30_000, is_breach=True),
    Fault("venue.phantom_fill", "venue.phantom_fill", 500, 5_000, is_breach=True),
    Fault("venue.ghost_login", "venue.epoch_replaced", 500, 5_000, is_breach=True),
    Fault("venue.fence_leaves_one", "venue.fence_leaves_one", 50_000, 300_000, is_breach=True),
    Fault("market.silence", "venue.silent_channel", 1_000, 20_000),
    Fault("market.gap", "venue.book_gap", 2_000, 50_000),
    Fault("market.crossed", "venue.crossed_book", 500, 10_000),
    Fault("market.jump", "core.price_jump", 500, 10_000),
    Fault("host.kill", "host.kill", 1_000, 10_000),
    Fault("host.kill_in_step", "host.kill", 300, 5_000),
    Fault("host.kill_at_send", "host.kill", 2_000, 30_000),
    Fault("host.power_at_send", "host.power_loss", 1_000, 20_000),
    Fault("host.power", "host.power_loss", 500, 5_000),
    Fault("host.stall", "host.stall", 1_000, 20_000),
    Fault("host.clock_step", "host.clock_step", 500, 10_000),
    Fault("host.drift", "host.clock_drift", 500, 10_000),
    Fault("guard.silent", "guard.silent", 1_000, 10_000),
    Fault("guard.gone", "guard.killed", 100, 2_000, is_breach=True),
    Fault("disk.write_fails", "journal.write_error", 20_000, 200_000),
    Fault("disk.sync_fails", "journal.sync_error", 500, 10_000),
    Fault("disk.slow", "journal.slow_sync", 20_000, 200_000),
    Fault("disk.full", "journal.disk_full", 5_000, 100_000),
    Fault("signal.repeat", "signals.repeat", 50_000, 300_000),
    Fault("signal.expired", "signals.expired", 50_000, 300_000),
    Fault("signal.forged", "signals.forged", 50_000, 300_000),
    Fault("signal.wild", "signals.out_of_range", 50_000, 300_000),
    Fault("signal.flood", "signals.flood", 2_000, 20_000),
)

BY_NAME: dict[str, Fault] = {fault.name: fault for fault in FAULTS}


class Faults:
    """Which faults strike in one world, and how often each did."""

    def __init__(self, rates_ppm: Mapping[str, int], streams: Streams) -> None:
        """A fault that `rates_ppm` does not name never strikes; KeyError for a name that is none."""
        self.rates_ppm = {name: ppm for name, ppm in rates_ppm.items() if ppm and BY_NAME[name]}
        self._streams = streams
        self.fired: dict[str, int] = {}

    def strikes(self, name: str) -> bool:
        """Whether it strikes on this occasion."""
        rate_ppm = self.rates_ppm.get(name)
        if not rate_ppm or self._streams["fault." + name].random() * PPM >= rate_ppm:
            return False
        self.fired[name] = self.fired.get(name, 0) + 1
        return True

    def span_ns(self, name: str, at_most_ns: int) -> int:
        """How long or how late a fault is: exponential, a fifth of the most on average, never over the most."""
        return min(at_most_ns, int(self._streams["span." + name].expovariate(5.0) * at_most_ns))

    def choose(self, name: str, below: int) -> int:
        """Which of several forms a fault takes."""
        return self._streams["form." + name].randrange(below)

    def calm(self) -> None:
        """Nothing strikes any more."""
        self.rates_ppm = {}
