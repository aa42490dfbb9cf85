"""The worker as a program: what is made of what, and how it starts and stops."""
