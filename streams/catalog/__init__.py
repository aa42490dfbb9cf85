"""The tenants of the platform: what is known of each, and how to reach its database."""
