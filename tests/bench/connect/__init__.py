"""How many tenants a worker holds, and what connecting them costs, beside a bare script that asks the same."""
