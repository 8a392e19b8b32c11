"""The views and dialogs of the screen: each reads from the store, and hands frozen values to its panes."""
