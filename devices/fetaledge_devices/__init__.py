"""Devices: reaching them, their facts, and deploying to them. Research software, not a medical device."""
