"""Figures of stored records, one subject a file, and the table FIGURES."""

from advae.report.figures.table import FIGURES, Figure, draw_figures

__all__ = ["FIGURES", "Figure", "draw_figures"]
