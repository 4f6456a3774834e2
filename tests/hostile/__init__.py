"""Hostile files, bundles and entries that every command must refuse, and what makes them."""
