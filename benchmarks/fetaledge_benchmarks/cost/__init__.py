"""What one inference costs on a board that is not there: counted instructions, and the least time they can take."""

from __future__ import annotations

from fetaledge_benchmarks.cost.bound import CORES
from fetaledge_benchmarks.cost.cost import measure_cost
from fetaledge_benchmarks.cost.roofline import draw_roofline
from fetaledge_benchmarks.cost.tables import table_header, table_rows

__all__ = ["CORES", "draw_roofline", "measure_cost", "table_header", "table_rows"]
