"""The ``fetaledge`` command, one file a command."""
