"""The books: positions, cash, value."""
