"""Photos: lists of them, what their tags say, and their vectors."""
