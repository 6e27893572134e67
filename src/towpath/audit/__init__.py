"""What an auditor asks: history, lineage, search, verify, reproduce."""
