"""Every error that fetaledge raises on purpose, in one tree.

    FetalEdgeError              1  a message of one sentence, and a hint that says what to do
    ├── GateFailed              1  a variant broke a limit of the gate and is not in the bundle
    ├── UsageError              2  an option or a combination of options that makes no sense
    ├── InputError              3  a frame, mask, table, checkpoint or folder that cannot be used
    │   ├── BundleError         3  a bundle that is incomplete, altered or of an unknown schema
    │   └── EngineMissing       3  the engine that a variant needs is not installed
    ├── OutputError             3  a result that cannot be written
    ├── TargetError             4  a device that could not be reached or dropped out
    └── InvalidMeasurement      5  measured, but not valid (throttled, too few samples)

The number is the exit code of the command.
"""

from __future__ import annotations


class FetalEdgeError(Exception):
    """Root of the tree: ``message`` names the file or value and what was expected, ``hint`` says what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class GateFailed(FetalEdgeError):
    exit_code = 1


class UsageError(FetalEdgeError):
    exit_code = 2


class InputError(FetalEdgeError):
    exit_code = 3


class BundleError(InputError):
    pass


class EngineMissing(InputError):
    pass


class OutputError(FetalEdgeError):
    exit_code = 3


class TargetError(FetalEdgeError):
    exit_code = 4


class InvalidMeasurement(FetalEdgeError):
    exit_code = 5
