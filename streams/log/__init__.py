"""Reading and writing the log: records, acknowledgements, offsets."""
