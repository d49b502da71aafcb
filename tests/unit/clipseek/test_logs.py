"""Logs as JSON: one object per line, with the request that a line is about."""

import json
import logging

import pytest
from click.testing import CliRunner

from clipseek.api.errors import VideoNotFound
from clipseek.cli.main import main
from clipseek.machine import logs


@pytest.fixture
def root():
    """The root logger, given back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_an_object(root, capsys):
    logs.start("INFO", "json", "video_loader", replace=True)
    logging.getLogger("executors.somewhere").info("clip of '%s'\nin two lines", "雪")
    logging.getLogger("executors.somewhere").debug("below the level")
    [line] = lines(capsys)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "executors.somewhere",
        "message": "clip of '雪'\nin two lines",
        "process": "video_loader",
    }


def test_a_line_within_a_request_says_which_and_for_how_long(root, capsys):
    logs.start("INFO", "json", "indexer", replace=True)
    with logs.request("/search"):
        logging.getLogger("x").info("refused", extra=logs.about(VideoNotFound("no")))
    logging.getLogger("x").info("later")
    within, after = lines(capsys)
    assert (within["endpoint"], within["error"]) == ("/search", "VideoNotFound")
    assert 0 <= within["seconds"] < 60
    assert not {"endpoint", "seconds", "error", "traceback"} & set(after)


def test_a_traceback_is_a_field(root, capsys):
    logs.start("INFO", "json", "indexer", replace=True)
    try:
        {}["deep down"]
    except KeyError:
        logging.getLogger("x").exception("failed")
    [line] = lines(capsys)
    assert line["message"] == "failed"
    assert line["traceback"].startswith("Traceback") and "KeyError: 'deep down'" in line["traceback"]


def test_what_the_server_tells_its_operator_is_json_too(root, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CLIPSEEK_HOME", str(tmp_path))
    done = CliRunner().invoke(main, ["serve", "--bind", "198.51.100.1"], env={"CLIPSEEK_LOG_FORMAT": "json"})
    assert done.exit_code == 2
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["process"] for line in told] == ["server", "server"]
    assert told[0]["message"] == "Starting ..."
    assert told[1]["level"] == "ERROR" and told[1]["message"].startswith("clipseek: ")


def test_text_stays_text(root, capsys):
    logs.start("WARNING", "text", "indexer", replace=True)
    logging.getLogger("x").warning("mind the gap")
    assert capsys.readouterr().err.endswith("WARNING x: mind the gap\n")
    assert not logs.is_json()


def test_an_absent_collector_of_traces_is_told_once(root, capsys):
    logs.start("WARNING", "json", "indexer", replace=True)
    for _ in range(5):
        logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter").warning("retrying")
    assert [line["message"] for line in lines(capsys)] == ["retrying"]
