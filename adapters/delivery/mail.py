"""Sends an alert by mail."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from costplan.adapters.delivery.failure import DeliveryFailed
from costplan.adapters.delivery.secret import read_secret
from costplan.planner.finance.delivery import Email

TIMEOUT_SECONDS = 15.0


def send(email: Email, key: str, title: str, text: str, made_at: datetime) -> str:
    """Sends it and gives the receipt; raises DeliveryFailed, which shows no password and nothing
    of what the server says to one. The message's id follows from `key`, so that one that comes
    twice is known for the same."""
    message = EmailMessage()
    message["From"], message["To"] = email.sender, ", ".join(email.to)
    message["Subject"], message["Date"] = title, format_datetime(made_at)
    domain = email.sender.rpartition("@")[2]
    message["Message-ID"] = f"<{hashlib.sha256(key.encode()).hexdigest()[:32]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    password = read_secret(email.password, "the mail password") if email.user else ""
    try:
        with _connected(email) as server:
            if email.user:
                server.login(email.user, password)
            refused = server.send_message(message, email.sender, list(email.to))
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryFailed(f"{email.host} refuses the user ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused:
        raise DeliveryFailed(f"{email.host} refuses every recipient") from None
    except smtplib.SMTPResponseException as error:
        raise DeliveryFailed(f"{email.host} answered {error.smtp_code}") from None
    except (smtplib.SMTPException, OSError) as error:
        reason = f"{type(error).__name__}"
        raise DeliveryFailed(f"{email.host} cannot be used ({reason})") from None
    told = len(email.to) - len(refused)
    left = f", and refused {', '.join(sorted(refused))}" if refused else ""
    return f"{email.host} took it for {told} of {len(email.to)}{left}"


def _connected(email: Email) -> smtplib.SMTP:
    """A server that may be told a password. Raises what smtplib and the system raise."""
    if email.tls == "none":
        return smtplib.SMTP(email.host, email.port, timeout=TIMEOUT_SECONDS)
    trusted = ssl.create_default_context(cafile=email.ca_file or None)
    if email.tls == "ssl":
        return smtplib.SMTP_SSL(email.host, email.port, timeout=TIMEOUT_SECONDS, context=trusted)
    server = smtplib.SMTP(email.host, email.port, timeout=TIMEOUT_SECONDS)
    try:
        # Raises where the server offers none: the password is never sent in the open.
        server.starttls(context=trusted)
    except BaseException:
        server.close()
        raise
    return server
