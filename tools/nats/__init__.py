"""NATS with JetStream: its client, its probe, its diagnostics and its remediations."""

from tools.nats import consumers, deeds, diagnostics, streams
from tools.nats.kind import nats

__all__ = ["consumers", "deeds", "diagnostics", "nats", "streams"]
