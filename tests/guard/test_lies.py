"""Agents that lie, guards that are lied to, and venues that say "done": none of them is believed."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from agent.guard.sockets import AGENT_SOCKET, connect
from tests.guard.cut_proxy import CutProxy
from tests.guard.stage import wait_for
from tests.guard.test_kill import SetStage, check_promise


@pytest.mark.parametrize(
    ("fault", "codes"),
    [
        ("frozen", {"frozen"}),
        ("replay", {"beat_sequence"}),
        ("mac", {"protocol_mac"}),
        ("truncated", {"protocol_length", "protocol_mac"}),
        ("digest", {"digest", "event_sequence"}),
        ("build", {"build"}),
        ("epoch", {"epoch"}),
        ("progress", {"progress"}),
    ],
)
def test_a_lying_beat_stops_the_agent(set_stage: SetStage, fault: str, codes: set[str]) -> None:
    stage = set_stage()
    stage.start_guard()
    agent = stage.start_agent(fault)
    trigger_ns = time.monotonic_ns()
    agent.send_signal(signal.SIGUSR1)
    verified = stage.wait_verified()
    check_promise(stage, trigger_ns, fault)
    assert verified["trip"]["code"] in codes
    assert agent.wait(1) in (-signal.SIGKILL, 6)


def test_the_agents_network_is_cut(set_stage: SetStage) -> None:
    stage = set_stage(limits={"max_venue_age_ms": 400})
    proxy = CutProxy(stage.venue.port)
    stage.start_guard()
    agent = stage.start_agent(url=proxy.url)
    assert not stage.status()["is_shielding"]
    trigger_ns = time.monotonic_ns()
    proxy.cut()
    wait_for(lambda: stage.status()["is_shield_verified"], "the guard cancels for the agent", tell=stage.status)
    check_promise(stage, trigger_ns, "network cut")
    # The agent lives and its guard too: a lost network is no reason for a person to come.
    assert agent.poll() is None
    assert not (stage.guard_folder / "latch").exists()
    assert stage.status()["state"] in ("armed", "tripped")
    proxy.close()


@pytest.mark.parametrize("lives_s", [2.0, pytest.param(60.0, marks=[pytest.mark.slow, pytest.mark.leisure])])
def test_a_venue_that_keeps_deleted_keys_alive(set_stage: SetStage, lives_s: float) -> None:
    stage = set_stage()
    stage.venue.deleted_keys_live_s = lives_s
    stage.start_guard()
    agent = stage.start_agent("wedge_trading")
    trigger_ns = time.monotonic_ns()
    agent.send_signal(signal.SIGUSR1)
    wait_for(lambda: stage.venue.times("key_deleted"), "the key is deleted")
    wait_for(lambda: not stage.venue.open_ids(), "nothing is open")
    check_promise(stage, trigger_ns, f"key alive for {lives_s:.0f} s")
    stage.wait_verified(lives_s + 20)
    assert (time.monotonic_ns() - trigger_ns) / 1e9 >= lives_s, "verified while the old key still opened the door"
    check_promise(stage, trigger_ns, f"key alive for {lives_s:.0f} s, verified")


def test_a_thief_with_the_old_key_is_cancelled_until_the_key_is_dead(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.venue.deleted_keys_live_s = 2.5
    stage.start_guard()
    stage.start_agent().kill()
    wait_for(lambda: stage.venue.times("key_deleted"), "the key is deleted")
    with stage.venue.lock:
        stage.venue.orders["thief"] = {
            "client_order_id": "thief",
            "symbol": "BTC-USDC",
            "side": "sell",
            "quantity": "1",
        }
    stage.wait_verified()
    assert stage.venue.open_ids() == []


@pytest.mark.parametrize(("knob", "value"), [("cancel_all_leaves", 1), ("cancel_all_answers_without_cancelling", 2)])
def test_a_cancel_all_that_lies_is_asked_again(set_stage: SetStage, knob: str, value: int) -> None:
    stage = set_stage()
    stage.start_guard()
    agent = stage.start_agent()
    setattr(stage.venue, knob, value)
    agent.kill()
    stage.wait_verified()
    assert stage.venue.open_ids() == []


def test_an_incomplete_list_is_not_an_empty_one(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    agent = stage.start_agent()
    stage.venue.says_complete = False
    agent.kill()
    wait_for(lambda: stage.venue.times("cancel_all"), "cancel-all")
    time.sleep(2.5)
    assert not stage.status()["is_verified"]
    stage.venue.says_complete = True
    stage.wait_verified()


def test_a_deaf_venue_is_asked_until_it_hears(set_stage: SetStage) -> None:
    stage = set_stage(venue={"timeout_ms": 200})
    stage.start_guard()
    agent = stage.start_agent()
    stage.venue.is_deaf = True
    agent.kill()
    time.sleep(1.5)
    faults = [rung["last_fault"] for rung in stage.status()["rungs"]]
    assert any(faults), faults
    stage.venue.is_deaf = False
    stage.wait_verified(20)
    assert stage.venue.open_ids() == []


def test_an_order_that_the_agent_never_issued_stops_it(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    stage.start_agent()
    with stage.venue.lock:
        stage.venue.orders["not-ours"] = {
            "client_order_id": "not-ours",
            "symbol": "BTC-USDC",
            "side": "buy",
            "quantity": "1",
        }
    stage.wait_verified()
    assert stage.status()["trip"]["code"] == "unknown_order"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"limits": {"max_exposure_atoms": 1_000_000}}, "exposure"),
        ({"limits": {"max_orders_per_s": 5}}, "order_rate"),
    ],
)
def test_the_venues_own_figures_stop_it(set_stage: SetStage, changes: dict[str, dict[str, int]], code: str) -> None:
    stage = set_stage(**changes)
    stage.start_guard()
    stage.start_agent()
    assert stage.wait_verified()["trip"]["code"] == code


def test_a_day_loss_counts_from_the_days_start_whichever_guard_saw_it(set_stage: SetStage) -> None:
    stage = set_stage(limits={"max_day_loss_atoms": 1_000_000_000})
    guard = stage.start_guard()
    guard.terminate()
    guard.wait()
    stage.venue.balance = "98900"
    stage.start_guard()
    stage.start_agent()
    assert stage.wait_verified()["trip"]["code"] == "day_loss"


@pytest.mark.parametrize("message", [b"x", bytes(80), bytes(112), b"\x01\x01" + bytes(200), b"\x02\x01" + bytes(170)])
def test_no_bytes_arm_a_guard_that_are_no_hello(set_stage: SetStage, message: bytes) -> None:
    stage = set_stage()
    stage.start_guard()
    with connect(stage.guard_folder, AGENT_SOCKET, socket.SOCK_SEQPACKET, 1.0) as stranger:
        stranger.send(message)
        answer = stranger.recv(512)
        assert answer == b"" or answer[0] == 12
    assert stage.status()["state"] == "idle"
    assert not (stage.guard_folder / "armed.json").exists()
    stage.start_agent()


def test_strangers_do_not_disturb_a_watched_agent(set_stage: SetStage) -> None:
    stage = set_stage()
    stage.start_guard()
    agent = stage.start_agent()
    for _ in range(20):
        with connect(stage.guard_folder, AGENT_SOCKET, socket.SOCK_SEQPACKET, 1.0) as stranger:
            stranger.send(b"\x01" * 300)
    idle = [connect(stage.guard_folder, AGENT_SOCKET, socket.SOCK_SEQPACKET, 1.0) for _ in range(4)]
    time.sleep(0.5)
    assert agent.poll() is None
    assert stage.status()["state"] == "armed"
    for each in idle:
        each.close()
