"""The configuration: OpenClaw's keys and ours as frozen values. `load.load` returns a `root.Config`."""
