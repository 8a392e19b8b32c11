"""Redis, also Valkey: its client, its probe, its diagnostics and its remediations."""

from tools.redis import diagnostics, remediations, tables
from tools.redis.kind import redis

__all__ = ["diagnostics", "redis", "remediations", "tables"]
