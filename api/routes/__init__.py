"""The routes, one noun one file. Each is thin: read the wire, call the use case, write the wire."""
