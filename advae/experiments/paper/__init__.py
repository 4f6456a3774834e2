"""The paper: its plan, the accuracies that it prints, and its section of the report."""
