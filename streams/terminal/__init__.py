"""What people and programs see of a command: its output, the looks of tables and events, and its end by a signal."""
