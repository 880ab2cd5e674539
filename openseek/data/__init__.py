"""Text as Arrow batches: sources, filters, deduplication, tokens. Imports no torch."""
