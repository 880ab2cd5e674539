"""Text as Arrow batches: sources, filters, deduplication, tokens. Imports no torch."""

from pathlib import Path

from openseek.data import kernel_cache

kernel_cache.use(Path(__file__).parent)
