"""The relational truth: what was uploaded, which work remains, what readers may see."""
