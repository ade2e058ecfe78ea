"""The scripts that build the documentation, which are no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def hook(name: str) -> ModuleType:
    """The module ``docs/hooks/NAME.py``."""
    full = f"docs_hooks_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, DOCS / "hooks" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        sys.modules[full] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[full])
    return sys.modules[full]
