"""costplan beside stock Adaptive on real Dask clusters of processes (see __main__.py)."""
