"""How good an index's answers are, on photos whose place is known, and a report that says so."""
