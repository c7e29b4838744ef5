"""The wire: one pydantic model per object of the API, and the functions that turn domain values into them."""
