"""Machines: Dask clusters, processes, queues. Knows no other folder of the project."""
