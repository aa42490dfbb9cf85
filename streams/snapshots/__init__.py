"""Snapshots: the state of a partition on disk, so that a worker folds the tail of the log and not all of it."""
