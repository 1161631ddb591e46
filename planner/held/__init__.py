"""Commitments that are held, as the planner uses them: what they still pay for, and for whom."""
