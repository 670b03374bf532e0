"""Numbers about this process for Prometheus. This package imports nothing of the gateway: others feed it."""
