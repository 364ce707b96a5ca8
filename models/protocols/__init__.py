"""Which segment trains, selects and tests in each fold: protocols by what they do with groups, and what leaks."""
