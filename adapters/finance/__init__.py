"""The books on disk: charge lines in DuckDB and Parquet, and the files that reports become."""
