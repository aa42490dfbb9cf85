"""The command line: one module for each group of commands; `streams.cli.main` puts them together."""
