"""The one way to run an agent: candidates, failover, filters, rescue and tool rounds."""
