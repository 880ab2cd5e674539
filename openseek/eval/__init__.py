"""Measurement: our model behind lm-evaluation-harness, intervals, and a report."""
