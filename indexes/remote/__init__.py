"""What the processes that share one `citewell retrieval` have in common: how they reach it and what they send."""
