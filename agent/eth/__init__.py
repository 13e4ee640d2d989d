"""Ethereum's rules, pure: units, addresses, RLP, ABI, typed transactions, fees."""
