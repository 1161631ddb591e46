"""Backtests: scaling policies side by side, on recorded demand, prices and availability."""
