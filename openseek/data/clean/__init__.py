"""Cleaners: transforms that rewrite text and keep every row."""
