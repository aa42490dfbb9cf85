"""Explores the protocol models in ``models/`` with Spin: what must hold, and what must be refuted."""
