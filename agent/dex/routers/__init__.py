"""What people's transactions to the common routers will do to the pools: calldata to steps, steps to pool states."""
