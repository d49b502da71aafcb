"""Names and sites that the page answers; tests/frontend/test_foreign_requests.py asks a running one."""

import pytest

from clipseek.api.errors import InvalidSetting
from clipseek.config.settings import Settings
from frontend.server.request_check import RequestCheck

NO_HOSTS = (
    "evil@videos.example",
    "videos.example/x",
    "videos.example?x",
    "videos.example:1:2",
    "videos.example:",
    "..",
)


def refused(check, host, **headers):
    return bool(check.refusal("GET", "/", {"Host": host} | headers))


def test_a_page_on_one_address_answers_to_it_and_to_loopback_names():
    check = RequestCheck("192.0.2.7", ["videos.example"])
    for host in ("192.0.2.7:8501", "127.0.0.1", "localhost", "videos.example", "VIDEOS.example.:1", "[::1]:8501"):
        assert not refused(check, host), host
    for host in (
        "192.0.2.8",
        "evil.example",
        "videos.example.evil",
        "xvideos.example",
        "192.0.2.7:x",
        "a b",
        "[::1",
        *NO_HOSTS,
    ):
        assert refused(check, host), host


def test_a_page_on_all_addresses_answers_to_addresses_but_to_no_names():
    check = RequestCheck("0.0.0.0")
    assert not refused(check, "10.0.0.3:8501") and not refused(check, "[2001:db8::1]:8501")
    assert refused(check, "evil.example") and refused(check, "10.0.0.3.evil.example") and refused(check, "0x7f000001")
    assert refused(check, "10.0.0.3", Origin="http://10.0.0.4")


def test_a_request_without_a_name_is_refused_whatever_the_page_listens_on():
    for address in ("", "0.0.0.0", "127.0.0.1"):
        check = RequestCheck(address)
        assert check.refusal("GET", "/", {}) and refused(check, "") and refused(check, "a b")


def test_a_proxy_may_send_its_own_name_as_origin():
    check = RequestCheck("127.0.0.1", ["videos.example"])
    assert not refused(check, "127.0.0.1:8501", Origin="https://videos.example")
    assert refused(check, "127.0.0.1:8501", Origin="https://videos.example.evil")
    assert refused(check, "videos.example", Origin="http://127.0.0.1") and refused(check, "videos.example", Origin="")


def test_only_the_same_name_and_port_are_the_same_site():
    check = RequestCheck("127.0.0.1")
    assert not refused(check, "LOCALHOST:8501", Origin="http://localhost:8501")
    for origin in ("http://localhost", "http://127.0.0.1:8501", "ftp://localhost:8501", "localhost:8501", "null"):
        assert refused(check, "localhost:8501", Origin=origin), origin


def test_a_refusal_repeats_no_markup_and_no_long_name():
    why = RequestCheck("127.0.0.1").refusal("GET", "/", {"Host": "\x1b[31m\u202e" + "x" * 5000})
    assert why.isascii() and why.isprintable() and len(why) < 300


def test_the_names_are_a_setting():
    settings = Settings.from_env({"CLIPSEEK_PAGE_HOSTS": " Videos.example, [2001:db8::1] 192.0.2.7"})
    assert settings.page_hosts == ("videos.example", "2001:db8::1", "192.0.2.7")
    assert Settings.from_env(settings.to_env()).page_hosts == settings.page_hosts
    for wrong in ("https://videos.example", "videos.example:8501", "*", "a/b"):
        with pytest.raises(InvalidSetting, match="CLIPSEEK_PAGE_HOSTS"):
            Settings.from_env({"CLIPSEEK_PAGE_HOSTS": wrong})
