"""Feature stores to runs, tables and the report."""
