"""Trading against short moves away from a mean."""
