"""A rule as C: translated from what it computes, compiled once on a machine, and run over all time steps at once."""
