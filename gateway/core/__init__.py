"""Values. This package imports only the standard library and msgspec: no I/O, no HTTP, no configuration."""
