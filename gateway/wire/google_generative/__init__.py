"""Google's Gemini format, towards providers: https://ai.google.dev/api/generate-content."""

WIRE = "google-generative-ai"
