"""The configuration: OpenClaw's keys and ours as frozen values. `load.load` reads it, `root.Config` is it."""
