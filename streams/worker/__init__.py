"""What a worker does with the partitions it owns."""
