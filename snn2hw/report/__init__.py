"""The report: one HTML page that shows what was converted, verified, counted and priced."""

from __future__ import annotations

from snn2hw.report.answer import report_dict, write_json
from snn2hw.report.chip import Chip, Figure
from snn2hw.report.data import CheckResult, ReportData, Section
from snn2hw.report.learning import LearningData, write_learning_report
from snn2hw.report.page import render, write_report

__all__ = [
    "CheckResult",
    "Chip",
    "Figure",
    "LearningData",
    "ReportData",
    "Section",
    "render",
    "report_dict",
    "write_json",
    "write_learning_report",
    "write_report",
]
