"""Decentralised exchanges, pure: one file per pool kind; exact quotes, state from logs."""
