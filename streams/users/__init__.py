"""Who uses a tenant: the reports of gateways, summed."""
