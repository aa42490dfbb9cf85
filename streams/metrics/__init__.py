"""What a worker counts and measures, for Prometheus."""
