// worker: see README.md.
