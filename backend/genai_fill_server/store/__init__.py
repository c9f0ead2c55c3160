"""The job database and the audit log."""
