"""How answers reach clients: relay, event stream, background runs and stored responses."""
