"""Following the side that is being consumed."""
