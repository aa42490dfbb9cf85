"""The registry: every tenant's state, partition by partition, folded from the log and from nothing else."""
