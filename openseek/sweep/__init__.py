"""Experiments over recipes: designs, regressors of loss on mixture, acquisition, verdicts, scaling laws."""
