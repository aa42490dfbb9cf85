"""The tenant's database: checked, migrated, partitioned, locked and held. The only package with SQL in it."""
