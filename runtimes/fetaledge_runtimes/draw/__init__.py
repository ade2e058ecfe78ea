"""Pictures of what was measured, one file a task."""
