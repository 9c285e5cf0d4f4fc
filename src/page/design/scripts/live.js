// live: see README.md.
