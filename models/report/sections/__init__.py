"""The sections of the report, one module each: what a section shows, as plain values."""
