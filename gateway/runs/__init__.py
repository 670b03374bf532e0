"""Runs an agent on a turn: candidates, failover, filters, rescue and tool rounds."""
