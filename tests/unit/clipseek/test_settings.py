"""Settings: defaults, the way through the environment and back, and values that do not fit."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from clipseek.api.errors import InvalidSetting
from clipseek.cli.main import main
from clipseek.config.addresses import parse_host
from clipseek.config.settings import SETTINGS, Settings, rename_warnings


def test_the_defaults_listen_on_this_machine_only():
    settings = Settings.from_env({})
    assert (settings.bind, settings.port, settings.model) == ("127.0.0.1", 45679, "auto")
    assert settings.server_host == "grpc://127.0.0.1:45679"
    assert (settings.token, settings.flow_secret, settings.allow_anyone) == ("", "", False)
    assert (settings.metrics_port, settings.metrics_bind, settings.decoder) == (None, "127.0.0.1", "software")
    assert (settings.tls_cert, settings.media_roots, settings.audit_days) == ("", (), 90)
    assert (settings.requests_per_second, settings.requests_under_way, settings.open_uploads) == (200, 128, 32)


def test_the_environment_is_read_and_written_back(tmp_path):
    environ = {
        "CLIPSEEK_HOME": str(tmp_path / "store"),
        "CLIPSEEK_CACHE": str(tmp_path / "cache"),
        "CLIPSEEK_PORT": "5000",
        "CLIPSEEK_MODEL": "english",
        "CLIPSEEK_MEDIA_ROOTS": f"{tmp_path}/a:{tmp_path}/b",
        "CLIPSEEK_FRAMES_PER_SECOND": "2.5",
        "CLIPSEEK_HOST": "grpc://videos.example:7000",
        "CLIPSEEK_TOKEN": "clipseek_x",
        "CLIPSEEK_ALLOW_ANYONE": "yes",
        "CLIPSEEK_OPEN_UPLOADS": "3",
        "CLIPSEEK_METRICS_PORT": "9100",
        "CLIPSEEK_LOG_FORMAT": "JSON",
        "CLIPSEEK_DECODER": "CUDA",
    }
    settings = Settings.from_env(environ)
    assert settings.media_roots == (tmp_path / "a", tmp_path / "b")
    assert settings.frames_per_second == 2.5
    assert settings.server_host == "grpc://videos.example:7000"
    assert (settings.token, settings.allow_anyone, settings.open_uploads) == ("clipseek_x", True, 3)
    assert (settings.metrics_port, settings.metrics_bind, settings.log_format) == (9100, "127.0.0.1", "json")
    assert (settings.decoder, settings.to_flow_env()["CLIPSEEK_DECODER"]) == ("cuda", "cuda")
    assert Settings.from_env(settings.to_env()) == settings


def test_the_collector_of_traces_is_an_address():
    settings = Settings.from_env({"CLIPSEEK_OTLP": "collector:4317"}).to_flow_env()
    assert [settings[f"CLIPSEEK_{name}"] for name in ("TRACING", "OTLP_HOST", "OTLP_PORT")] == [
        "True",
        "http://collector",
        "4317",
    ]
    assert Settings.from_env({}).to_flow_env()["CLIPSEEK_TRACING"] == "False"
    with pytest.raises(InvalidSetting, match="CLIPSEEK_OTLP is 'http://collector:4317', but must be HOST:PORT"):
        Settings.from_env({"CLIPSEEK_OTLP": "http://collector:4317"})


def test_videos_may_be_in_a_folder_or_at_a_url(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for text, media, url in (
        ("", "", ""),
        ("videos", str(tmp_path / "videos"), ""),
        ("s3://bucket/videos", "s3://bucket/videos", "s3://bucket/videos"),
    ):
        settings = Settings.from_env({"CLIPSEEK_MEDIA": text})
        assert (settings.media, settings.media_url) == (media, url)
        assert Settings.from_env(settings.to_env()) == settings


def test_settings_for_which_a_default_stands_may_be_empty():
    assert Settings.from_env({row.variable: "" for row in SETTINGS.values()}) == Settings.from_env({})


def test_secrets_are_not_shown():
    settings = Settings.from_env(
        {"CLIPSEEK_TOKEN": "hidden", "CLIPSEEK_FLOW_SECRET": "hidden", "CLIPSEEK_MEDIA": "s3://user:hidden@x/y"}
    )
    assert "hidden" not in repr(settings)


def test_relative_folders_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert Settings.from_env({"CLIPSEEK_HOME": "store"}).home == Path(tmp_path) / "store"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("CLIPSEEK_PORT", "http", "'http' is not a port"),
        ("CLIPSEEK_PORT", "0", "'0' is not a port"),
        ("CLIPSEEK_PORT", "70000", "'70000' is not a port"),
        ("CLIPSEEK_DEVICE", "tpu", "CLIPSEEK_DEVICE is 'tpu'"),
        ("CLIPSEEK_FRAMES_PER_SECOND", "0", "CLIPSEEK_FRAMES_PER_SECOND is '0'"),
        ("CLIPSEEK_FRAMES_PER_SECOND", "nan", "CLIPSEEK_FRAMES_PER_SECOND is 'nan'"),
        ("CLIPSEEK_MEDIA_CACHE_GB", "0", "must be a number above 0"),
        ("CLIPSEEK_ENGINE", "onnx", "CLIPSEEK_ENGINE is 'onnx'"),
        ("CLIPSEEK_MOST_RESTARTS", "many", "must be a whole number, 0 or more"),
        ("CLIPSEEK_REQUESTS_UNDER_WAY", "0", "must be a whole number, 1 or more"),
        ("CLIPSEEK_OPEN_UPLOADS", "0", "must be a whole number, 1 or more"),
    ],
)
def test_values_that_do_not_fit_are_named(variable, value, told):
    with pytest.raises(InvalidSetting, match=told):
        Settings.from_env({variable: value})


RENAMED = [(row.was, row.variable, name) for name, row in SETTINGS.items() if row.was]


def test_the_settings_of_version_01_that_have_another_name_are_known():
    assert {(was, variable) for was, variable, _ in RENAMED} == {
        ("CLIPSEEK_MAX_FILM_GB", "CLIPSEEK_MAX_VIDEO_GB"),
        ("CLIPSEEK_MAX_FILM_HOURS", "CLIPSEEK_MAX_VIDEO_HOURS"),
    }


@pytest.mark.parametrize(("was", "variable", "name"), RENAMED)
def test_an_earlier_name_still_works_and_is_warned_of(was, variable, name):
    assert getattr(Settings.from_env({was: "3"}), name) == 3
    [warning] = rename_warnings({was: "3"})
    assert warning == f"{was} is now called {variable}. The old name still works; please use the new one."
    with pytest.raises(InvalidSetting, match=f"{was} is 'many'"):
        Settings.from_env({was: "many"})


@pytest.mark.parametrize(("was", "variable", "name"), RENAMED)
def test_of_both_names_the_new_one_wins(was, variable, name):
    environ = {was: "3", variable: "5"}
    assert getattr(Settings.from_env(environ), name) == 5
    [warning] = rename_warnings(environ)
    assert warning == f"{was} is ignored, because its new name {variable} is set, too. Remove the old one."


def test_nothing_is_warned_of_where_no_earlier_name_is_set():
    assert rename_warnings(Settings.from_env({}).to_env()) == []


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("grpc://127.0.0.1:1234", "127.0.0.1", 1234),
        ("videos.example", "videos.example", 45679),
        ("videos.example:80/", "videos.example", 80),
        ("grpc://[::1]:9", "[::1]", 9),
        ("grpcs://videos.example:443", "videos.example", 443),
    ],
)
def test_server_addresses(text, host, port):
    assert parse_host(text) == (host, port)


@pytest.mark.parametrize("text", ["http://x:1", "a b", "host:port", "grpc://", "host:99999"])
def test_what_is_no_server_address(text):
    with pytest.raises(InvalidSetting):
        parse_host(text)


def test_serve_warns_once_of_a_setting_under_its_earlier_name(tmp_path):
    environ = {"CLIPSEEK_HOME": str(tmp_path), "CLIPSEEK_MAX_FILM_GB": "3"}
    done = CliRunner().invoke(main, ["serve", "--bind", "198.51.100.1"], env=environ)
    assert done.exit_code == 2
    assert done.stderr.count("clipseek: CLIPSEEK_MAX_FILM_GB is now called CLIPSEEK_MAX_VIDEO_GB.") == 1
