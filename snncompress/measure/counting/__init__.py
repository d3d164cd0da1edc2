"""The exact count of operations: what a network multiplies while it runs, function by function."""
