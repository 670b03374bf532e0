"""HTTP. Only this package uses web.Request; the packages below it use plain values."""
