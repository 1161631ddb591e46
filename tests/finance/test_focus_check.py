"""The strict checks of FOCUS files: a right file has no finding, and each defect is caught."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costplan.adapters.finance.book import Book
from costplan.adapters.finance.focus import Wanted, write_focus
from costplan.adapters.finance.focus_check import check_focus
from costplan.planner.errors import InputError
from costplan.planner.finance.focus_columns import Version
from costplan.planner.finance.focus_values import unit_problem
from tests.finance.focus_books import random_lines
from tests.finance.focus_defects import DEFECTS, ONLY_1_4, Defect, read, save, written
from tests.finance.referees import toolkit


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[Version, Path]:
    """The right file of each version, as CSV."""
    folder = tmp_path_factory.mktemp("focus")
    return {version: written(folder / version, version) for version in Version}


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_with_all_kinds_of_rows_is_right(
    version: Version, kind: str, tmp_path: Path
) -> None:
    path = written(tmp_path, version, kind)
    for file in sorted(tmp_path.glob(f"*.{kind}")):
        checked = check_focus(file)
        assert checked.findings == ()
        assert checked.rows
    assert check_focus(path).version is version


def test_there_are_as_many_defects_as_are_asked_for() -> None:
    assert len(DEFECTS) + len(ONLY_1_4) >= 60
    assert len({defect.name for defect in (*DEFECTS, *ONLY_1_4)}) == len(DEFECTS) + len(ONLY_1_4)


@pytest.mark.parametrize(
    ("number", "defect"),
    list(enumerate((*DEFECTS, *ONLY_1_4))),
    ids=[defect.name for defect in (*DEFECTS, *ONLY_1_4)],
)
def test_each_defect_is_caught(
    number: int, defect: Defect, right: dict[Version, Path], tmp_path: Path
) -> None:
    """Every second one in a file of 1.2, and all of 1.4's own in one of 1.4."""
    version = Version.V1_2 if number % 2 and defect in DEFECTS else Version.V1_4
    path = save(tmp_path / "defect.csv", defect.make(read(right[version])))
    found = {finding.column for finding in check_focus(path, version).findings}
    assert found & set(defect.columns), found


def test_a_rewritten_right_file_is_right(right: dict[Version, Path], tmp_path: Path) -> None:
    """So that what is found in the files with a defect is the defect."""
    for version in Version:
        assert check_focus(save(tmp_path / "right.csv", read(right[version]))).findings == ()


@pytest.mark.parametrize(
    ("name", "type_"),
    [("BilledCost", pa.string()), ("BillingAccountId", pa.int64()), ("PricingQuantity", pa.int64()),
     ("ChargePeriodStart", pa.date32())],
)  # fmt: skip
def test_a_parquet_column_of_another_type_is_caught(
    name: str, type_: pa.DataType, tmp_path: Path
) -> None:
    table = pq.read_table(written(tmp_path, Version.V1_2, "parquet"))
    wrong = pa.array([None] * len(table), type_)
    at = table.column_names.index(name)
    pq.write_table(table.set_column(at, name, wrong), tmp_path / "wrong.parquet")
    findings = check_focus(tmp_path / "wrong.parquet").findings
    assert ("type", name) in {(finding.rule, finding.column) for finding in findings}


def test_a_large_file_is_read_as_a_small_one_is(
    right: dict[Version, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costplan.adapters.finance.focus_source._SMALL_BYTES", 0)
    rows = read(right[Version.V1_4])
    assert check_focus(save(tmp_path / "large.csv", rows)).findings == ()
    rows[3]["ChargeFrequency"] = "One-Time"
    [finding] = check_focus(save(tmp_path / "large.csv", rows)).findings
    assert (finding.rule, finding.row, finding.value) == ("frequency-of-use", 4, '"One-Time"')
    (tmp_path / "ragged.csv").write_text(
        (tmp_path / "large.csv").read_text() + "one,two\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match="cannot be read"):
        check_focus(tmp_path / "ragged.csv")


def test_a_finding_says_where_and_what(right: dict[Version, Path], tmp_path: Path) -> None:
    rows = read(right[Version.V1_2])
    place = [row["x_LineId"] for row in rows].index("6")
    rows[place]["BilledCost"] = "0.048"
    [finding] = [
        finding
        for finding in check_focus(save(tmp_path / "one.csv", rows)).findings
        if finding.rule == "covered-is-not-billed"
    ]
    assert (finding.column, finding.row, finding.value) == ("BilledCost", place + 1, '"0.048"')


@pytest.mark.parametrize("provider", ["aws", "azure", "gcp"])
def test_files_of_others_are_right(provider: str, tmp_path: Path) -> None:
    """Those that a tool makes after the exports of three clouds: nobody is accused wrongly."""
    words = ("--focus-version", "1.2", "--rows", "300", "--out", str(tmp_path))
    assert toolkit("generate", "--provider", provider, *words).returncode == 0
    [path] = tmp_path.glob("*.csv")
    checked = check_focus(path)
    assert (checked.findings, checked.rows) == ((), 300)


@pytest.mark.parametrize("change", ["a row less", "a cent more"])
def test_control_totals_beside_a_file_are_asked(change: str, tmp_path: Path) -> None:
    path = written(tmp_path, Version.V1_2)
    rows = read(path)
    if change == "a row less":
        rows = rows[:-1]
    else:
        rows[0] |= {"BilledCost": "0.202", "EffectiveCost": "0.202"}
    found = {finding.rule for finding in check_focus(save(path, rows)).findings}
    assert "control-totals" in found


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 10**6), version=st.sampled_from(Version), places=st.sampled_from([9, 12])
)
def test_any_book_makes_a_right_file(
    seed: int, version: Version, places: int, tmp_path: Path
) -> None:
    path = tmp_path / f"{seed}-{version}-{places}.parquet"
    with Book() as book:
        book.add(random_lines(seed, rows=400))
        write_focus(book, Wanted(version=version, places=places), path)
    assert check_focus(path).findings == ()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"", "no name for a column"),
        ("a.csv", b"A,A\n1,2\n", "has the column 'A' twice"),
        ("a.csv", b"\xff\xfe\x00", "no CSV in UTF-8"),
        ("a.csv", b"ProviderName,Tags\nAWS\n", "cannot be read"),
        ("a.parquet", b"PAR1", "cannot be read"),
        ("a.txt", b"", "neither .parquet nor .csv"),
        ("a.csv", b"Name,Age\nx,1\n", "does not say whether it is FOCUS 1.2"),
    ],
)
def test_what_is_no_table_is_refused(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=said):
        check_focus(tmp_path / name)


@pytest.mark.parametrize(
    "unit", ["Hours", "GB", "GB-Hours", "GB/Hour", "1000 Tokens", "USD", "vCPU"]
)
def test_units_as_focus_writes_them(unit: str) -> None:
    assert (unit_problem(unit) is None) == (unit != "vCPU")
