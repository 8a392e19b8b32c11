"""A Bot API server that answers over real HTTP as Telegram documents, and operators who press its buttons."""
