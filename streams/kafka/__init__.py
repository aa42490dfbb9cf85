"""Talking to Kafka: clients made from the settings, the partition of a key, and the care of topics."""
