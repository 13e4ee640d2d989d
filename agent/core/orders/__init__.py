"""Orders of an order-book venue: the table of their states, what the venue's frames prove, and what follows."""
