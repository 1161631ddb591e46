"""A job that must be done in time: on spot machines for as long as its slack lasts."""
