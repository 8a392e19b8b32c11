"""A real homelab in a temporary folder: servers from wheels, and faults that can be injected."""
