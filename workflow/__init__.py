"""The rules, the settings they read, and the synthetic corpora that stand in where there is none."""
