"""Everything that touches the world: clouds, price feeds, Dask, storage, the clock."""
