"""The ways out of the program, one file each: clock, disk, network, processes, ids and randomness.

Real ones live here, simulated ones in devnet/virtual/; both pass the same conformance tests. Whoever needs one takes it
as an argument.
"""
