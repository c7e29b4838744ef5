"""HTTP and command line: the only layer that knows the wire."""
