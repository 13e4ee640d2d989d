"""A Purple Flea venue on loopback that anybody's client can trade on: wire contract, matching, accounts, faults."""

from agent.devnet.purpleflea.faults import Fault, When, load_faults
from agent.devnet.purpleflea.server import PurpleFleaVenue
from agent.devnet.purpleflea.terms import Terms
from agent.devnet.purpleflea.venue import AccountKeys, KeyPair, Venue

__all__ = ["AccountKeys", "Fault", "KeyPair", "PurpleFleaVenue", "Terms", "Venue", "When", "load_faults"]
