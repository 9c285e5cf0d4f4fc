// alert: see README.md.
