"""Azure: the definitions as KQL and its checker; events that land from there, rows that go back."""
