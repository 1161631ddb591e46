"""Posts an alert to an incoming webhook, as Slack, Mattermost and others take it."""

from __future__ import annotations

import re

import httpx

from costplan.adapters.delivery.failure import DeliveryFailed
from costplan.adapters.delivery.secret import read_secret
from costplan.planner.finance.delivery import Secret

TIMEOUT_SECONDS = 10.0
_MOST_WAIT_SECONDS = 3600
_ADDRESS = re.compile(r"https://[^\s/@]+(/\S*)?|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/\S*")


def post(webhook: Secret, key: str, title: str, text: str) -> str:
    """Posts it and gives the receipt; raises DeliveryFailed, which never shows the address: who
    knows that may post. `key` goes along as Idempotency-Key."""
    url = read_secret(webhook, "the webhook's address")
    if _ADDRESS.fullmatch(url) is None:
        raise DeliveryFailed("the webhook's address is not an https:// one")
    try:
        answer = httpx.post(
            url,
            json={"text": f"*{_escaped(title)}*\n{_escaped(text)}"},
            headers={"Idempotency-Key": key, "User-Agent": "costplan"},
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DeliveryFailed(f"the webhook cannot be reached ({type(error).__name__})") from None
    if not answer.is_success:
        wait = answer.headers.get("Retry-After", "")
        seconds = min(int(wait), _MOST_WAIT_SECONDS) if wait.isdecimal() else None
        raise DeliveryFailed(f"the webhook answered {answer.status_code}", seconds)
    return f"the webhook answered {answer.status_code}"


def _escaped(text: str) -> str:
    """Slack's three characters that mean something, so that a name is never a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
