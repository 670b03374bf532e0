"""Google's Gemini format, towards providers: https://ai.google.dev/api/generate-content."""

WIRE = "google-generative-ai"

VERTEX = "google-vertex"
"""The same format at Vertex AI. Reasoning of both is labelled WIRE: an owner also names the provider and the model."""
