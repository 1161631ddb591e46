"""Machines that are EC2 instances, and their prices. Nothing here imports boto3 before it is
used: who has another cloud need not install it."""
