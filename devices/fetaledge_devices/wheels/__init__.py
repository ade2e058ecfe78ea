"""Wheels for a device, resolved and unpacked on this machine."""
