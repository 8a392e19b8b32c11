"""PostgreSQL: its clients, its probe, what can be looked at and what can be changed.

Supported are servers from version 14 on. Each module registers its tools with the kind when
it is imported; psycopg is imported when a connection is first made.
"""

from tools.postgres import (
    activity,
    cluster,
    configuration,
    explain,
    indexes,
    maintenance,
    probe,
    reindex,
    server,
    service,
    settings,
    slots,
    storage,
    terminate,
)
from tools.postgres.kind import postgres

__all__ = [
    "activity",
    "cluster",
    "configuration",
    "explain",
    "indexes",
    "maintenance",
    "postgres",
    "probe",
    "reindex",
    "server",
    "service",
    "settings",
    "slots",
    "storage",
    "terminate",
]
