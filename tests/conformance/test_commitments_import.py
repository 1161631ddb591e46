"""`costplan commitments import` from a file of one's own."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from costplan.planner.held.config import parse_held
from tests.conformance.held_clouds import held_in, run


def test_a_file_of_one_s_own_is_checked_and_taken_in(tmp_path: Path) -> None:
    mine, out = tmp_path / "mine.yaml", tmp_path / "commitments.yaml"
    mine.write_text("commitments: [{id: sp, kind: compute_sp, usd_per_hour: 2.5}]")
    assert run("import", "--file", str(mine), "--out", str(out)).exit_code == 0
    assert set(held_in(out)) == {"sp"}
    mine.write_text("commitments: [{id: sp, kind: compute_sp}]")
    broken = run("import", "--file", str(mine), "--out", str(out), "--merge")
    assert broken.exit_code == 1
    assert "commitments[0].usd_per_hour" in broken.stderr
    assert set(held_in(out)) == {"sp"}
    both = run("import", "--file", str(mine), "--provider", "aws", "--out", str(out))
    assert "--file and --provider: " in both.stderr


def test_the_rates_of_a_file_come_along(tmp_path: Path) -> None:
    """Those that were read take the place of those of the same machines, and others stay."""
    mine, out = tmp_path / "mine.yaml", tmp_path / "commitments.yaml"

    def file(name: str, *rates: tuple[str, str]) -> str:
        listed = "".join(
            f"  - {{provider: aws, instance_type: {machine}, rates: {{compute_sp: {usd}}}}}\n"
            for machine, usd in rates
        )
        held = f"commitments: [{{id: {name}, kind: compute_sp, usd_per_hour: 2}}]\n"
        return f"{held}commitment_rates:\n{listed}"

    out.write_text(file("old", ("m5.large", "0.07"), ("c5.large", "0.06")))
    mine.write_text(file("new", ("m5.large", "0.05"), ("r5.large", "0.08")))
    done = run("import", "--file", str(mine), "--out", str(out), "--merge")
    assert done.exit_code == 0, done.output
    found = parse_held(out.read_text(), "f")
    assert {each.commitment_id for each in found.commitments} == {"old", "new"}
    assert {each.instance_type: each.rates["compute_sp"] for each in found.rates} == {
        "m5.large": Fraction("0.05"), "c5.large": Fraction("0.06"), "r5.large": Fraction("0.08"),
    }  # fmt: skip
