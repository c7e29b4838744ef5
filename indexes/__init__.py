"""What is stored and how it is found: the lowest layer, which imports no other package of Citewell."""
