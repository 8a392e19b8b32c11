"""The change log: everything that was seen, proposed, decided and changed, in one SQLite file."""
