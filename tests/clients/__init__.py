"""Real clients against a real gateway and a scripted provider: `make clients`."""
