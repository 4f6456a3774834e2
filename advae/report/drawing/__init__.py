"""Figures of a report, as SVG and HTML."""
