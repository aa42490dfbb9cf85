"""The contract with other programs: its records as models, JSON Schemas and an AsyncAPI document."""
