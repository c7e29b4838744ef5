"""One adapter per vector engine; `opening.open_engine` picks by settings."""
