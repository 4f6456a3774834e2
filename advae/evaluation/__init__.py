"""Evaluation: one attack under one threat model, projected, verified and scored on the same samples at every eps."""
