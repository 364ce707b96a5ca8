"""The report: every table and figure of one corpus in a single HTML file that opens offline."""
