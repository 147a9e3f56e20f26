"""Servers on this machine are asked without a proxy, and proxies that cannot be used are named."""

from __future__ import annotations

import sys

import pytest

from gair.errors import UsageError
from gair.http import Patience, http_client


def test_pauses_grow_and_are_one_fewer_than_tries() -> None:
    assert list(Patience(tries=4, first_pause_s=0.5).pauses_s()) == [0.5, 1.0, 2.0]
    assert list(Patience(tries=1).pauses_s()) == []


def test_catalogues_that_were_asked_before_are_known_by_the_same_text() -> None:
    assert repr(Patience()) == "Patience(tries=4, first_pause_s=1.0, silence_s=20.0)"


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        ("nonsense://127.0.0.1:1", "cannot be used .*: give an http:// one in HTTPS_PROXY"),
        ("socks5://127.0.0.1:1", r"needs the extra socks: pip install 'gair-geolocator\[socks\]'"),
    ],
)
def test_a_proxy_that_cannot_be_used(
    proxy: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)  # as where the extra is not installed
    with pytest.raises(UsageError, match=f"the proxy that the environment names .*{message}"):
        http_client("a test", 1.0)
