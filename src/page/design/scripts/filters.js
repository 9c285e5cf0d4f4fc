// filters: see README.md.
