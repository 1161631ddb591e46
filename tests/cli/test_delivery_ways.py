"""Mail over a real server with TLS and a password, and files into S3 over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from costplan.adapters.delivery.failure import DeliveryFailed
from costplan.adapters.delivery.mail import send
from costplan.adapters.delivery.places import put
from costplan.planner.finance.delivery import Email, Secret
from tests.cli.receivers import PASSWORD, USER, Mailbox, mail_server

AT = datetime(2026, 10, 3, 6, tzinfo=UTC)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Mailbox]:
    with mail_server(tmp_path) as found:
        yield found


def email(server: Mailbox, **more: object) -> Email:
    said: dict[str, object] = {
        "host": "127.0.0.1", "port": server.port, "tls": "starttls",
        "sender": "costplan@example.com", "to": ("finops@example.com", "cfo@example.com"),
        "user": USER, "password": Secret(env="MAIL_PASSWORD"), "ca_file": str(server.ca_file),
    }  # fmt: skip
    return Email(**{**said, **more})  # type: ignore[arg-type]


def test_mail_goes_out_with_tls_and_a_password(
    server: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    for _ in range(2):  # as after a kill between the server's answer and the note of it
        receipt = send(email(server), "budget/1", "fraud: 80% – spent", "$8 of $10", AT)
    assert receipt == "127.0.0.1 took it for 2 of 2"
    first, again = server.taken
    assert first["Message-ID"] == again["Message-ID"]
    assert first["To"] == "finops@example.com, cfo@example.com"
    assert first.get_payload(decode=True) == b"$8 of $10\r\n"
    assert first["X-RcptTo"] == first["To"]


def test_mail_that_cannot_go_out_says_why_and_not_the_password(
    server: Mailbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wr0ng-secret\n")

    def problem(**more: object) -> str:
        with pytest.raises(DeliveryFailed) as caught:
            send(email(server, **more), "k", "title", "text", AT)
        return caught.value.problem

    assert problem() == "the mail password is empty: the environment variable MAIL_PASSWORD"
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    assert problem(password=Secret(file=str(wrong))) == "127.0.0.1 refuses the user (535)"
    assert problem(ca_file="") == "127.0.0.1 cannot be used (SSLCertVerificationError)"
    assert "127.0.0.1 answered 530" in problem(tls="none", user="")
    assert not server.taken


def test_files_come_into_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out/fraud-2026-10.csv"
    file.parent.mkdir()
    file.write_bytes(b"a,b\n" * 100)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        s3 = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        s3.create_bucket(Bucket="ours")
        query = f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
        receipt = put(file.parent, f"s3://ours/costplan/2026-10/{query}")
        assert receipt.startswith("1 file, 400 bytes in s3://ours/costplan/2026-10/")
        found = s3.get_object(Bucket="ours", Key="costplan/2026-10/fraud-2026-10.csv")
        assert found["Body"].read() == file.read_bytes()
        file.write_bytes(b"new")
        put(file.parent, f"s3://ours/costplan/2026-10{query}")
        listed = s3.list_objects_v2(Bucket="ours")["Contents"]
        sizes = {each["Key"]: each["Size"] for each in listed if not each["Key"].endswith("/")}
        assert sizes == {"costplan/2026-10/fraud-2026-10.csv": 3}
        with pytest.raises(DeliveryFailed, match=r"s3://theirs/x.* cannot be written"):
            put(file.parent, f"s3://theirs/x{query}")
    finally:
        server.stop()


def test_a_store_without_its_package_says_which(tmp_path: Path) -> None:
    with pytest.raises(DeliveryFailed, match=r"abfs:// needs a package: pip install adlfs"):
        put(tmp_path, "abfs://container@account.dfs.core.windows.net/x")


def test_files_go_to_any_store_of_fsspec(tmp_path: Path) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    (tmp_path / "a.csv.metadata").mkdir()
    (tmp_path / "a.csv.metadata/b.json").write_bytes(b"2")
    file = tmp_path / "a.csv"
    file.write_bytes(b"1")
    put(file.parent, "memory://costplan-tests/2026-10/")
    root = "/costplan-tests/2026-10"
    assert MemoryFileSystem().cat(f"{root}/a.csv") == b"1"
    assert MemoryFileSystem().cat(f"{root}/a.csv.metadata/b.json") == b"2"
