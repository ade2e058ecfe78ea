"""The report of a benchmark: page, tables, figures, notes."""
