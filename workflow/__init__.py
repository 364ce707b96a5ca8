"""The rules, and the settings they read."""
