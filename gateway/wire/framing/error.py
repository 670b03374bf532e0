"""The error of every decoder of frames."""


class FramingError(ValueError):
    """The bytes are no frames of their format, or one frame grew beyond the limit without ending."""
