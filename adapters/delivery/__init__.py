"""How reports and alerts leave: to folders and object stores, webhooks and mail."""
