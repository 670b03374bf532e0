"""The stored events of background runs. Any instance can read them."""
