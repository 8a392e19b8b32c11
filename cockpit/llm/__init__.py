"""Talking to models: the worker process, the order in which they are asked, the budget, and what is said to them."""
