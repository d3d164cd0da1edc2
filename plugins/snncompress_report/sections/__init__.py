"""The sections of a run's report, each made from the record alone."""
