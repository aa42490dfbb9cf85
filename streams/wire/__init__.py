"""Records as bytes and back: events, commands, replies."""
