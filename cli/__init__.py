"""What a person or systemd starts: one file a command."""
