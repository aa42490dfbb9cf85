"""The demonstration: two workers, three tenants, one crash, and what the log says about it."""
