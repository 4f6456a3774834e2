"""What a report reads: registry entries, checked against each other."""
