"""A Purple Flea venue on loopback that anybody's client can trade on: wire contract, matching, accounts, faults."""

from agent.devnet.purpleflea.server import AccountKeys, KeyPair, PurpleFleaVenue
from agent.devnet.purpleflea.terms import Terms

__all__ = ["AccountKeys", "KeyPair", "PurpleFleaVenue", "Terms"]
