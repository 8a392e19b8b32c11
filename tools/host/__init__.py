"""The machine that cockpit runs on: the kind, its probe, its diagnostics and its remediations."""

from tools.host import logs, machine, processes, services, storage, temporary
from tools.host.kind import host

__all__ = ["host", "logs", "machine", "processes", "services", "storage", "temporary"]
