"""Networks and what of them is trained."""
