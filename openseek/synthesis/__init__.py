"""Synthetic text: recipes, a client for any OpenAI-compatible endpoint, its journal, and a local model server."""
