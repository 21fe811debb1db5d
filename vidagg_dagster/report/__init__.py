"""The page: all tables as one self-contained HTML file, with the query of every number."""
