"""The order-book half of the core: from a wish to an order, and from evidence to the books."""
