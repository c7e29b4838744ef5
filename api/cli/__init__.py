"""The command line: `citewell`. One command, one file; each imports what it needs when it runs."""
