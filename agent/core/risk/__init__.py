"""What may be traded now: profiles, modes, exposure, rate, and the breakers. Integers alone; ratios in ppm."""
