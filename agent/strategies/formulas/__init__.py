"""The formulas strategies are made of, one a file: pure, and each says when it has no answer yet.

Real-valued ones are binary64; counts, prices on a grid and ratios of them stay exact. What a formula gives is a wish:
it is rounded to the grid by the strategy, outward, and passes the checks like any other.
"""
