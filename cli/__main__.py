"""`python -m costplan.cli`: the same program as `costplan`."""

from __future__ import annotations

from costplan.cli.main import main

if __name__ == "__main__":
    main()
