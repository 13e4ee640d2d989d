"""Ways to make money, pure: each turns a view into candidates and does no I/O."""
