"""A Compute Engine and a Cloud Billing over HTTP, held to Google's own discovery documents."""
