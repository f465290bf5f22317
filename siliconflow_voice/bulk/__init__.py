"""Many uploads: runs, their journal, and manifests."""
