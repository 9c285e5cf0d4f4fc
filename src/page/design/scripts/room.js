// room: see README.md.
