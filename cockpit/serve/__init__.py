"""What the daemon offers and asks: metrics, HTTP, messages."""
