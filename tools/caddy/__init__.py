"""Caddy: the kind, its probe, its diagnostics and its remediations."""

from tools.caddy import diagnostics, remediations
from tools.caddy.kind import caddy

__all__ = ["caddy", "diagnostics", "remediations"]
