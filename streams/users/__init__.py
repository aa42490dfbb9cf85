"""Who uses a tenant: the reports of gateways, summed."""

from __future__ import annotations

from streams.users.users import Users

__all__ = ["Users"]
