"""gair/photos."""
