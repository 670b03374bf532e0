"""Layer 1: values. Standard library and the JSON codec only; no I/O, no aiohttp, no configuration."""
