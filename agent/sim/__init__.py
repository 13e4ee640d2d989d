"""Exact execution before anything is sent: one interface, engine `node`."""
