"""Labelled frames: readers by layout, splits by subject, phantoms."""
