"""Small named rules that trim, defer or deny moves, and never add one."""
