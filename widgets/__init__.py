"""Panes of the screen; each knows the model, the text type and Textual, and nothing else of ours."""
