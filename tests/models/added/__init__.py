"""Tests of advae/models/added."""
