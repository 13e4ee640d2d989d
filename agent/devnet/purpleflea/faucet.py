"""The faucet: start funds once per agent, refused in the words of the public server."""

from __future__ import annotations

from agent.devnet.purpleflea.decimals import parse_units, units_text
from agent.devnet.purpleflea.door import TurnedAway
from agent.devnet.purpleflea.floor import Floor

DAY_NS = 86_400_000_000_000


class Faucet:
    """Claims by agent id and by address."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.claims: dict[str, str] = {}
        """Claim id by agent."""
        self._by_ip: dict[str, list[int]] = {}

    def claim(self, agent_id: object, ip: str) -> dict[str, object]:
        """Credit an agent. TurnedAway: 400 no id, 403 has deposits, 404 unknown, 409 claimed, 429 too many."""
        floor = self._floor
        if not isinstance(agent_id, str) or not agent_id:
            raise TurnedAway(400, "missing_agent_id", "agent_casino_id or agent_id")
        mono_ns = floor.clock.monotonic_ns()
        recent = [at for at in self._by_ip.get(ip, []) if mono_ns - at < DAY_NS]
        most = floor.terms.faucet_claims_per_ip
        if most is not None and len(recent) >= most:
            raise TurnedAway(429, "ip_rate_limited", "this address has claimed today")
        member = floor.members.get(agent_id)
        if member is None:
            raise TurnedAway(404, "agent_not_found", "register first")
        if agent_id in self.claims:
            raise TurnedAway(409, "already_claimed", "an agent claims once")
        if member.account.has_deposits:
            raise TurnedAway(403, "has_deposits", "the faucet is for agents without funds")
        instrument = floor.terms.markets[0].instrument
        atoms = parse_units(floor.terms.faucet_credit, instrument.quote_digits)
        floor.engine.ledger.deposit(member.account, instrument.quote, atoms)
        self._by_ip[ip] = [*recent, mono_ns]
        claim_id = self.claims[agent_id] = f"claim_{len(self.claims) + 1:06d}"
        return {
            "credited": units_text(atoms, instrument.quote_digits),
            "currency": instrument.quote,
            "claim_id": claim_id,
            "agent_id": agent_id,
            "referral_tracked": False,
        }

    def stats(self) -> dict[str, object]:
        return {"total_claims": len(self.claims), "credit": self._floor.terms.faucet_credit}
