// link: see README.md.
