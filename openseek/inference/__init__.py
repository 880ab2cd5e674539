"""Generation from our own model."""
