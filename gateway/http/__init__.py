"""Layer 7: HTTP. The only package that sees a web.Request; below it there are values only."""
