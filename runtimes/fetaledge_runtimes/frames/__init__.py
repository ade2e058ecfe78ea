"""Frames from files of any readable kind."""
