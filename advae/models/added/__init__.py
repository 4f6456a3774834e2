"""Models that other programs saved: read once and checked, then rebuilt from JSON and arrays."""
