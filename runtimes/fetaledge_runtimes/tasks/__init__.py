"""Tasks: what is segmented and measured, one file each."""
