"""The agent: monitor, analyst, healer and communicator, as functions over the store."""
