"""Tokens at rest, and what is refused for want of one."""

import hashlib
import hmac
import json
import threading

import pytest

from clipseek.api.errors import InvalidRequest, InvalidSetting, NotFound, StoreError
from clipseek.config.access import AccessFile, check_network, is_loopback, with_flow_secret
from clipseek.config.libraries import check_library, libraries_below, library_folder
from clipseek.config.settings import Settings


def test_a_token_is_kept_as_its_hash_and_nowhere_else(tmp_path):
    access = AccessFile(tmp_path)
    assert access.is_open
    token = access.add("alice", ("a", "main"), server_folders=True)
    assert len(token) == len("clipseek_") + 43  # 256 bits in base64
    text = access.path.read_text()
    assert token not in text and hashlib.sha256(token.encode()).hexdigest() in text
    assert access.path.stat().st_mode & 0o777 == 0o600
    grant = access.grant_of(token)
    assert (grant.name, grant.libraries, grant.server_folders) == ("alice", ("a", "main"), True)
    assert access.grant_of(token[:-1]) is None and access.grant_of("") is None and access.grant_of("é\udcff") is None
    assert list(tmp_path.glob("*part*")) == []


def test_every_hash_is_compared_in_constant_time_whichever_token_is_asked(tmp_path, monkeypatch):
    access = AccessFile(tmp_path)
    tokens = [access.add(name) for name in ("alice", "bob", "cleo")]
    compared = []
    compare = hmac.compare_digest  # by its own documentation it takes as long wherever two texts differ
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append(one) or compare(one, other))
    hashes = [grant.sha256 for grant in access.grants()]
    for token in (*tokens, "wrong"):
        compared.clear()
        access.grant_of(token)
        assert compared == hashes


def test_the_first_token_makes_a_home_of_several_levels(tmp_path):
    home = tmp_path / "one" / "two" / "home"
    token = AccessFile(home).add("alice")
    assert AccessFile(home).grant_of(token).name == "alice"
    assert home.stat().st_mode & 0o777 == 0o700
    assert sorted(file.name for file in home.iterdir()) == ["access.json", "access.lock"]


def test_what_another_process_changes_is_seen_at_once(tmp_path):
    reader, writer = AccessFile(tmp_path), AccessFile(tmp_path)
    assert reader.grants() == ()
    first, second = writer.add("a"), writer.add("b")
    assert reader.grant_of(first).name == "a" and reader.grant_of(second).name == "b"
    assert writer.revoke("a") == 1
    assert reader.grant_of(first) is None and reader.grant_of(second)


def test_revoking_the_last_token_does_not_open_the_service(tmp_path):
    access = AccessFile(tmp_path)
    access.add("a")
    assert access.revoke("a") == 0
    assert not access.is_open and access.grants() == ()
    with pytest.raises(NotFound):
        access.revoke("a")


@pytest.mark.parametrize("name", ["", "a b", "../x", "anyone", "server", "-", "x" * 41, "é", "a\n"])
def test_what_is_no_name_of_a_token(tmp_path, name):
    with pytest.raises(InvalidRequest):
        AccessFile(tmp_path).add(name)


def test_a_name_is_given_once(tmp_path):
    access = AccessFile(tmp_path)
    access.add("a")
    with pytest.raises(InvalidRequest, match="already"):
        access.add("a")


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", '{"tokens": [1]}', '{"tokens": [{"name": "x"}]}', "\xff"])
def test_a_damaged_file_lets_nobody_in(tmp_path, text):
    access = AccessFile(tmp_path)
    token = access.add("a")
    access.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"access\.json"):
        access.grant_of(token)
    assert not access.is_open


def test_tokens_made_at_the_same_time_are_all_kept(tmp_path):
    threads = [threading.Thread(target=AccessFile(tmp_path).add, args=(f"t{i}",)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = json.loads((tmp_path / "access.json").read_text())["tokens"]
    assert sorted(each["name"] for each in kept) == sorted(f"t{i}" for i in range(12))


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "a_b", "a.b", "é", "x" * 41, "a\n", "\0"])
def test_what_is_no_name_of_a_library(tmp_path, name):
    with pytest.raises(InvalidRequest):
        check_library(name)
    with pytest.raises(InvalidRequest):
        library_folder(tmp_path, name)
    with pytest.raises(InvalidRequest):
        AccessFile(tmp_path).add("token", (name,))


def test_the_folders_of_libraries(tmp_path):
    assert library_folder(tmp_path, "main") == tmp_path
    assert library_folder(tmp_path, "videos-2") == tmp_path / "libraries" / "videos-2"
    (tmp_path / "libraries" / "videos-2").mkdir(parents=True)
    (tmp_path / "libraries" / ".trash").mkdir()
    assert list(libraries_below(tmp_path)) == ["main", "videos-2"]


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.168.1.5", "::", "videos.example"])
def test_the_network_wants_a_token_or_the_flag(tmp_path, bind):
    settings = Settings(home=tmp_path, cache=tmp_path)
    with pytest.raises(InvalidSetting, match="allow-anyone-on-the-network"):
        check_network(settings, bind)
    check_network(Settings(home=tmp_path, cache=tmp_path, allow_anyone=True), bind)
    AccessFile(tmp_path).add("a")
    check_network(settings, bind)


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_the_own_machine_does_not(tmp_path, bind):
    assert is_loopback(bind)
    check_network(Settings(home=tmp_path, cache=tmp_path), bind)


def test_secrets_are_made_anew_and_not_shown(tmp_path):
    settings = Settings(home=tmp_path, cache=tmp_path, token="clipseek_abc")
    made = with_flow_secret(settings)
    assert len(made.flow_secret) == 64 and made.flow_secret != with_flow_secret(settings).flow_secret
    assert with_flow_secret(made) == made
    assert made.flow_secret not in repr(made) and "clipseek_abc" not in repr(made)
