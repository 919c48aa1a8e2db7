"""Functional coverage of random programs: which instructions, forms, types, directions and boundary values ran."""

from tb.coverage.model import Model
from tb.coverage.report import Report
from tb.coverage.samples import samples

__all__ = ["Model", "Report", "samples"]
