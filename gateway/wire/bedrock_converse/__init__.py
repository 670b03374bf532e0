"""Amazon Bedrock's Converse API, the provider-facing half
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html).
"""

WIRE = "bedrock-converse-stream"
"""The name of this format in configurations (`api`), and the label of its extras."""
