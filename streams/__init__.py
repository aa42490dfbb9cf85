"""The service and its surroundings: everything that touches Kafka, databases, clocks and people."""
