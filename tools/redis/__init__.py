"""Redis, also Valkey: its client, its probe, its diagnostics and its remediations."""

from tools.redis import clients, deeds, diagnostics, durability, settings
from tools.redis.kind import redis

__all__ = ["clients", "deeds", "diagnostics", "durability", "redis", "settings"]
