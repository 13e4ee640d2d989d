"""The guard's state and what it does about each thing that happens; the loop in `main` tells it what happens.

Nothing here waits: whatever may take time (venue, node, disk) has a thread of its own.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from agent.guard import latch
from agent.guard.burns import load as load_burns
from agent.guard.chain_health import ChainHealth
from agent.guard.chain_rungs import BurnNonces, DropBundles, HaltExecutor
from agent.guard.configuration import Configuration
from agent.guard.deadman import Deadman
from agent.guard.flatten import Flatten
from agent.guard.folder import Arming, Folder
from agent.guard.ladder import Ladder, Rung
from agent.guard.link import AgentLink
from agent.guard.network import Cutter
from agent.guard.peer import PeerFault
from agent.guard.protocol import IS_ARMED, IS_LATCHED, MUST_REDUCE, Bye, ProtocolFault
from agent.guard.reader import Account, Reader
from agent.guard.rungs import CutNetwork, EndProcess, Revoke, Sweep
from agent.guard.target import Target, find
from agent.guard.truth import Truth
from agent.guard.venue_client import VenueClient
from agent.guard.watch import Trip, Watch

LATCH_WAIT_S = 0.2
"""How long a disk that hangs may hold up the rest."""
TRUTH_AGE_MAX_NS = 3_000_000_000
FLATTEN_MAX_NS = 60_000_000_000
"""A guard of one run waits for so long until what is held has gone; one that stands goes on for ever."""
LATCH_LOOK_NS = 100_000_000


class Guard:
    """One guard over one folder. Every method is called by the loop's thread."""

    def __init__(self, configuration: Configuration, folder: Folder) -> None:
        self.configuration = configuration
        self.folder = folder
        self.watch = Watch(configuration.limits)
        self.link: AgentLink | None = None
        self.exit_code: int | None = None
        self._truths: SimpleQueue[Truth] = SimpleQueue()
        self._ladder: Ladder | None = None
        self._shield: Ladder | None = None
        self._farewell: Ladder | None = None
        self._flattening: Ladder | None = None
        self._flattening_since_ns = 0
        self._was_flat = False
        self._tripped_ns = 0
        self._latch_looked_ns = 0
        self._latch_error = ""
        self._button: dict[str, str] | None = None
        self._cutter = Cutter()
        self._reader: Reader | None = None
        self._deadman: Deadman | None = None
        self._chain: ChainHealth | None = None

    def start(self) -> None:
        """Read the truth once, then begin; a latch or an arming that nobody ended is a trip at once."""
        venue, chain = self.configuration.venue, self.configuration.chain
        self._take_reserves()
        if venue is not None:
            self._reader = Reader(Account(venue, self.folder.path), self._truths.put)
            self._reader.read_once()
            self._reader.start()
            if venue.deadman_ms:
                self._deadman = Deadman(
                    VenueClient(venue.venue), venue.deadman_ms, lambda: self.watch.is_beating and not self.is_latched
                )
                self._deadman.start()
        if chain is not None:
            self._chain = ChainHealth(chain)
            self._chain.check()
            self._chain.start()
        left = self.folder.arming()
        held = latch.read(self.folder.path)
        if left is not None:
            self._ladder = self._ladder_for(find(left.pid, left.start_ticks))
            self.trip("guard_restarted", f"the guard of run {left.run} ended while the agent was armed")
        elif held is not None:
            if self.folder.is_verified(str(held.get("evidence"))):
                self.watch.stop(str(held["code"]), str(held.get("detail", "")))
            else:
                self.trip("latch_found", "the latch stood before the guard began")

    def _take_reserves(self) -> None:
        with contextlib.suppress(OSError):
            latch.take_reserve(self.folder.path)
            self.folder.take_reserve()

    @property
    def is_latched(self) -> bool:
        return self.watch.state == "tripped" or latch.is_set(self.folder.path)

    @property
    def why_unready(self) -> str:
        """Why no agent may trade under this guard now; empty where one may."""
        if self.is_latched:
            return "halted"
        reader = self._reader
        if reader is not None:
            read_ns = reader.last_success_ns
            if read_ns is None or time.monotonic_ns() - read_ns > TRUTH_AGE_MAX_NS:
                return f"the venue cannot be read: {reader.last_fault}"
        return self._chain.why_unready if self._chain is not None else ""

    def on_hello(self, link: AgentLink) -> None:
        """An agent asks to be watched. Raises ProtocolFault where the message is none."""
        hello = link.receive_hello()
        if self.is_latched:
            held = latch.read(self.folder.path) or {}
            return link.refuse(f"halted: {held.get('code')}: {held.get('detail')}")
        if self.link is not None:
            return link.refuse("an agent is linked already")
        if self._farewell is not None:
            return link.refuse("what the last run left is still being looked for")
        try:
            self.folder.note_arming(Arming(link.target.pid, link.target.start_ticks, hello.run, hello.run_epoch))
        except OSError as error:
            return link.refuse(f"the arming could not be written down: {error.strerror}")
        flags = 0 if self.why_unready else IS_ARMED
        if (self.folder.path / latch.MUST_REDUCE).exists():
            flags |= MUST_REDUCE
        self._dismantle()
        self._ladder = self._ladder_for(link.target)
        self.watch = Watch(self.configuration.limits)
        self.watch.arm(hello, time.monotonic_ns())
        self.link = link
        try:
            link.welcome(flags=flags, beat_deadline_ms=self.configuration.limits.beat_deadline_ms)
        except OSError:
            link.is_closed = True
        else:
            if flags & MUST_REDUCE:
                with contextlib.suppress(OSError):
                    (self.folder.path / latch.MUST_REDUCE).unlink()
        self.log("armed", run=hello.run, pid=link.target.pid)
        return None

    def on_agent_readable(self) -> None:
        """Messages, or the end of the connection."""
        link = self.link
        if link is None:
            return
        try:
            messages = link.receive()
            word = link.progress()
        except ProtocolFault as fault:
            self._act_on(self.watch.on_fault(fault.code, fault.detail))
            return
        now_ns = time.monotonic_ns()
        for message in messages:
            if isinstance(message, Bye):
                self._act_on(self.watch.on_bye(message))
            else:
                self._act_on(self.watch.on_beat(message, word, now_ns))
        if link.is_closed:
            self._act_on(self.watch.on_process_gone() if link.target.is_gone else self.watch.on_socket_closed())
            self._unlink()

    def on_process_gone(self) -> None:
        """What the process sent before it ended has been taken in."""
        self._act_on(self.watch.on_process_gone())

    def on_time(self) -> None:
        """Deadlines, truths that have come, the latch file, and how far the ladder is."""
        with contextlib.suppress(Empty):
            while True:
                truth = self._truths.get_nowait()
                if self.watch.state != "left" or self._farewell is None:
                    self._act_on(self.watch.on_truth(truth, time.monotonic_ns()))
        now_ns = time.monotonic_ns()
        self._act_on(self.watch.on_time(now_ns))
        if now_ns - self._latch_looked_ns > LATCH_LOOK_NS:
            self._latch_looked_ns = now_ns
            self._look_at_latch()
        self._keep_shield()
        if self.watch.state == "left":
            self._say_farewell()
        if self.watch.state == "tripped":
            self._finish_trip(now_ns)

    def pulse(self) -> None:
        if self.link is not None and self.link.hello is not None:
            flags = (IS_LATCHED if self.is_latched else 0) | (0 if self.why_unready else IS_ARMED)
            beat = self.watch.last_beat
            self.link.pulse(now_ns=time.monotonic_ns(), last_beat_seq=beat.seq if beat else 0, flags=flags)

    def trip(self, code: str, detail: str, by: str = "guard") -> None:
        """Stop everything, for a reason that is not the watch's own."""
        self._act_on(self.watch.stop(code, detail), by)

    def _act_on(self, trip: Trip | None, by: str = "guard") -> None:
        """The latch first, then every rung at once."""
        if trip is None:
            return
        self._tripped_ns = time.monotonic_ns()
        if self._ladder is None or self._ladder.is_climbing:
            self._ladder = self._ladder_for(None)
        evidence = b"".join(self.link.evidence) if self.link is not None else b""
        writing = threading.Thread(target=self._latch, args=(trip, by, evidence), daemon=True)
        writing.start()
        writing.join(LATCH_WAIT_S)
        self._ladder.climb()
        if self.link is not None:
            self.link.target.kill()
        self.log("tripped", code=trip.code, detail=trip.detail, by=by)

    def _latch(self, trip: Trip, by: str, evidence: bytes) -> None:
        facts = {"beats": evidence.hex()} if evidence else None
        try:
            latch.set_latch(self.folder.path, code=trip.code, detail=trip.detail, by=by, evidence=evidence, facts=facts)
            self._latch_error = ""
        except OSError as error:
            self._latch_error = error.strerror or type(error).__name__

    def _look_at_latch(self) -> None:
        is_there = latch.is_set(self.folder.path)
        if is_there and self.watch.state != "tripped":
            held = latch.read(self.folder.path) or {}
            self.trip("latch_found", f"{held.get('by') or 'somebody'}: {held.get('detail')}"[:400], str(held.get("by")))
        elif not is_there and self.watch.state == "tripped":
            if self._ladder is None or self._ladder.is_verified or not self._ladder.is_climbing:
                if (self.folder.path / latch.MUST_REDUCE).exists() and not self._latch_error:
                    self._rest()
                    return
            # Not reset by the tool that leaves its mark, or before everything was seen to stand still.
            trip = self.watch.trip or Trip("unknown", "")
            self._latch(trip, "guard", b"")

    def _rest(self) -> None:
        """A person has reset the latch: the next agent may come."""
        self._dismantle()
        self._cutter = Cutter()  # what failed once is tried anew
        self._unlink()
        self._take_reserves()
        self.watch = Watch(self.configuration.limits)
        self.log("reset")

    def _keep_shield(self) -> None:
        """While the agent has lost the venue, its orders are cancelled for it, once and verified."""
        venue = self.configuration.venue
        if venue is None:
            return
        if self.watch.wants_shield and self._shield is None:
            self._shield = Ladder([Sweep(venue.venue, venue.symbols, lambda: True)])
            self._shield.climb()
            self.log("shield", detail="the agent lost the venue; its orders are cancelled for it")
        elif not self.watch.wants_shield and self._shield is not None:
            self._shield.dismantle()
            self._shield = None

    def _say_farewell(self) -> None:
        """The run ended in order; what it may have left is cancelled, and looked for until two reads show nothing."""
        venue = self.configuration.venue
        if self.folder.arming() is None:
            return
        if venue is not None:
            if self._farewell is None:
                self._farewell = Ladder([Sweep(venue.venue, venue.symbols, lambda: True)])
                self._farewell.climb()
            if not self._farewell.is_verified:
                return
            if venue.deadman_ms:
                threading.Thread(target=_disarm, args=(VenueClient(venue.venue),), daemon=True).start()
        self._farewell = None
        self.folder.end_arming()
        self._dismantle()
        self.log("left")
        if self.configuration.is_single_run:
            self.exit_code = 0

    def _finish_trip(self, now_ns: int) -> None:
        ladder = self._ladder
        if ladder is None or not ladder.is_climbing or self.exit_code is not None:
            return
        has_given_up = 0 < self.configuration.give_up_s * 1e9 < now_ns - self._tripped_ns
        if not ladder.is_verified and not has_given_up:
            return
        held = latch.read(self.folder.path)
        if held is not None and not self.folder.is_verified(str(held.get("evidence"))):
            with contextlib.suppress(OSError):
                if ladder.is_verified:
                    self.folder.note_verified(str(held.get("evidence")), self.rungs())
                self.folder.end_arming()
            self.log("verified" if ladder.is_verified else "gave up", rungs=self.rungs())
        if ladder.is_verified and not self._is_flat(now_ns):
            return
        if self.configuration.is_single_run:
            self.exit_code = 6

    def _is_flat(self, now_ns: int) -> bool:
        """Everything stands still: what is held goes now, where a person wants that. False while it goes."""
        venue = self.configuration.venue
        if venue is None or not venue.is_flattened:
            return True
        if self._flattening is None:
            self._flattening = Ladder([Flatten(venue.venue, venue.collar_ppm)])
            self._flattening.climb()
            self._flattening_since_ns = now_ns
            self.log("flattening")
        if self._flattening.is_verified and not self._was_flat:
            self._was_flat = True
            self.log("flat")
        return self._was_flat or now_ns - self._flattening_since_ns > FLATTEN_MAX_NS

    def _ladder_for(self, target: Target | None) -> Ladder:
        venue, chain = self.configuration.venue, self.configuration.chain
        rungs: list[Rung] = []
        if target is not None:
            rungs.append(EndProcess(target))
            if not self._cutter.why_not:
                target.cutter = self._cutter
                rungs.append(CutNetwork(target, self._cutter))
        if venue is not None:
            revoke = Revoke(venue.venue, venue.agent_key_ids, venue.probe_keys)
            if venue.agent_key_ids:
                rungs.append(revoke)
            rungs.append(
                Sweep(
                    venue.venue,
                    venue.symbols,
                    lambda: revoke.is_done and (target is None or target.is_gone),
                )
            )
        if chain is not None:
            health = self._chain or ChainHealth(chain)
            rungs.append(HaltExecutor(chain.nodes, chain.executor, health.tiers))
            if chain.burns_file is not None:
                rungs.append(BurnNonces(chain.nodes, partial(load_burns, chain.burns_file)))
            if chain.drops_file is not None:
                rungs.append(DropBundles(chain.nodes, chain.relays, chain.drops_file))
        return Ladder(rungs)

    def rungs(self) -> list[dict[str, Any]]:
        """How far the ladder has come, in milliseconds after the trip."""

        def after_ms(at_ns: int | None) -> float | None:
            return None if at_ns is None else round((at_ns - self._tripped_ns) / 1e6, 1)

        return [
            {
                "rung": report.name,
                "attempts": report.attempts,
                "first_act_ms": after_ms(report.first_act_ns),
                "first_answer_ms": after_ms(report.first_answer_ns),
                "confirmed_ms": after_ms(report.confirmed_ns),
                "last_fault": report.last_fault,
            }
            for report in (self._ladder.reports() if self._ladder is not None and self._ladder.is_climbing else ())
        ]

    def _dismantle(self) -> None:
        for ladder in (self._ladder, self._shield, self._flattening):
            if ladder is not None:
                ladder.dismantle()
        self._ladder = self._shield = self._flattening = None
        self._was_flat = False

    def _unlink(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None

    def status(self) -> dict[str, Any]:
        """What the control socket tells."""
        beat, trip = self.watch.last_beat, self.watch.trip
        hello = self.watch.hello
        return {
            "state": self.watch.state,
            "is_latched": self.is_latched,
            "is_armed": self.link is not None and not self.why_unready,
            "why_unready": self.why_unready,
            "run": hello.run if hello else None,
            "agent_pid": self.link.target.pid if self.link else None,
            "beat": beat.seq if beat else 0,
            "beat_age_ms": round((time.monotonic_ns() - self.watch.last_beat_ns) / 1e6, 1) if beat else None,
            "mode": beat.mode if beat else None,
            "event_seq": beat.event_seq if beat else None,
            "exec_seq": beat.exec_seq if beat else None,
            "nav_atoms": str(beat.nav) if beat else None,
            "exposure_atoms": str(beat.exposure) if beat else None,
            "is_shielding": self._shield is not None,
            "is_shield_verified": self._shield is not None and self._shield.is_verified,
            "trip": trip._asdict() if trip else None,
            "latch_error": self._latch_error,
            "rungs": self.rungs(),
            "is_verified": bool(self._ladder and self._ladder.is_verified),
            "button": self._button,
            "flatten": self._flatten_status(),
            "network_cut": {"is_possible": not self._cutter.why_not, "why_not": self._cutter.why_not},
            "deadman_armed": self._deadman.times_armed if self._deadman else None,
        }

    def _flatten_status(self) -> dict[str, Any] | None:
        """None where nobody asked for it."""
        venue = self.configuration.venue
        if venue is None or not venue.is_flattened:
            return None
        report = self._flattening.reports()[0] if self._flattening is not None else None
        return {
            "is_under_way": report is not None,
            "is_flat": self._was_flat,
            "last_fault": report.last_fault if report is not None else "",
        }

    def note_button(self, url: str, why_not: str) -> None:
        """Where the button is, or why there is none."""
        self._button = {"url": url, "problem": why_not}
        if why_not:
            self.log("no button", detail=why_not)

    def log(self, what: str, **facts: Any) -> None:
        """One line of JSON to stderr; a reader that went away is no reason to stop."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(json.dumps({"wall_ns": time.time_ns(), "what": what, **facts}) + "\n")
            sys.stderr.flush()


def _disarm(client: VenueClient) -> None:
    with contextlib.suppress(PeerFault):
        client.arm_deadman(0)
