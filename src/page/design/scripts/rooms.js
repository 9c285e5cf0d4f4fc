// rooms: see README.md.
