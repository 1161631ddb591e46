"""A cluster object of machines of many types, as data scientists start it from Python."""
