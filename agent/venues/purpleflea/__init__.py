"""The venue Purple Flea: an order book behind a WebSocket, contract `pf.v1`.

Theory of operation
-------------------
`protocol` is the whole protocol without sockets or clocks: frames in, events out; effects in, frames out. `wire` and
`encoder` are its two languages, `strict` what JSON alone does not forbid, `decimals` the exact way between the wire's
decimal strings and the core's integers. `books`, `offset` and `questions` are its memory. `client` ties it to a
connection, `rest` and `faucet` are the requests beside it, `latency` what all of that costs.

A peer that does not say hello within two seconds has not proved that it acknowledges orders: then there are market
data and nothing else ("article mode").
"""
