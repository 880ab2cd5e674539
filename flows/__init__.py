"""Order: which task follows which, with which recipe."""
