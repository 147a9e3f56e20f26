"""gair/encoders."""
