"""What a report works out from its data."""
