"""What runs on a machine of a cloud: the script that makes it a Dask worker, and its watch."""
