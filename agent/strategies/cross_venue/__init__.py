"""Trading the same thing on two order books."""
