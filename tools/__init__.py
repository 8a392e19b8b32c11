"""Tool modules: one for each kind of service."""
