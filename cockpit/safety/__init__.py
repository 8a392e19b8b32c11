"""Policy and executor: the only door to a change."""
