"""Logs as JSON: one object per line, with the request that a line is about."""

import json
import logging

import pytest
from click.testing import CliRunner

from clipseek.api.errors import VideoNotFound
from clipseek.api.formats import escape_hidden
from clipseek.cli.main import main
from clipseek.machine import logs


@pytest.fixture
def root():
    """The root logger, given back as it was."""
    logger = logging.getLogger()
    handlers, level, factory = logger.handlers[:], logger.level, logging.getLogRecordFactory()
    yield logger
    logging.setLogRecordFactory(factory)
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


HOSTILE = "a\n2026-01-01 00:00:00,000 ERROR forged: x\r\x1b[2J\x9b2J\u202e\u2066\u2028\x85\x00\x7f\udcff b"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def log_all_ways(logger, level):
    """A message, an argument, a logger's name, an exception, a chain of them, and the stack, all with hostile text."""
    number = logging.getLevelName(level)
    logger.log(number, HOSTILE)
    logger.log(number, "of '%s'", HOSTILE)
    logging.getLogger(f"library.{HOSTILE}").log(number, "named", stack_info=True)
    try:
        try:
            {}[HOSTILE]
        except KeyError as error:
            raise ValueError(HOSTILE) from error
    except ValueError:
        logger.log(number, "failed: %s", HOSTILE, exc_info=True)


def test_a_record_from_another_process_can_be_made(root):
    assert logging.makeLogRecord({"msg": "from elsewhere"}).getMessage() == "from elsewhere"


def test_the_stack_forges_no_line(root, capsys):
    logs.start("DEBUG", "text", "indexer", replace=True)
    record = logging.getLogger("x").makeRecord("x", 10, "f", 1, "at", (), None, sinfo=f"Stack (most\n{HOSTILE}")
    logging.getLogger("x").handle(record)
    text = capsys.readouterr().err
    assert_plain(text)
    assert [line for line in text.splitlines() if not line.startswith("  ")] == [text.splitlines()[0]]


def assert_plain(text):
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize("level", LEVELS)
def test_text_from_elsewhere_forges_no_line_and_commands_no_terminal(root, capsys, level):
    logs.start("DEBUG", "text", "indexer", replace=True)
    log_all_ways(logging.getLogger("x"), level)
    text = capsys.readouterr().err
    assert_plain(text)
    records = [line for line in text.splitlines() if line[:2] == "20"]
    assert len(records) == 4 and all(f" {level} " in line for line in records)
    assert "forged" in text and "KeyError" in text and "ValueError" in text and "Stack (most recent" in text


@pytest.mark.parametrize("level", LEVELS)
def test_objects_show_all_they_hold(root, capsys, level):
    logs.start("DEBUG", "json", "indexer", replace=True)
    log_all_ways(logging.getLogger("x"), level)
    text = capsys.readouterr().err
    assert_plain(text)
    objects = [json.loads(line) for line in text.splitlines()]
    assert [line["level"] for line in objects] == [level] * 4
    assert objects[0]["message"] == HOSTILE and objects[2]["logger"] == f"library.{escape_hidden(HOSTILE)}"
    assert HOSTILE in objects[3]["traceback"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_is_bounded_whatever_is_in_it(root, capsys, form):
    """Eight megabytes of a caller's text become no line of the log, and no traceback."""
    logs.start("INFO", form, "indexer", replace=True)
    huge = "x" * 8_000_000
    logging.getLogger("x").info("sampling is '%s'", huge)
    text = capsys.readouterr().err
    assert "sampling is 'xxx" in text and len(text) < logs.MOST_CHARACTERS + 300
    try:
        {}[huge]
    except KeyError:
        logging.getLogger("x").exception("failed: %s", huge)
    text = capsys.readouterr().err
    assert "test_logs.py" in text and "failed: xxx" in text
    assert len(text) < logs.MOST_CHARACTERS + logs.MOST_OF_TRACEBACK + 300


def test_a_librarys_own_handler_escapes_too(root, capsys):
    logs.start("DEBUG", "text", "page", replace=True)
    library = logging.getLogger("a library with a handler")
    library.propagate = False
    library.addHandler(logging.StreamHandler())
    library.handlers[0].setFormatter(logging.Formatter("OWN %(name)s %(message)s"))
    try:
        log_all_ways(library, "ERROR")
    finally:
        library.handlers.clear()
    own = [line for line in capsys.readouterr().err.split("\n") if line.startswith("OWN")]
    assert len(own) == 3
    assert_plain("\n".join(own))


def test_what_the_cli_says_and_logs_is_plain(root, capsys, monkeypatch):
    from clipseek.cli import terminal
    from clipseek.machine.talk import say

    root.handlers.clear()
    say(HOSTILE)
    terminal.show_table(("Title",), [(HOSTILE,)])
    terminal.print_json({"title": HOSTILE})
    said = capsys.readouterr()
    assert_plain(said.err)
    assert_plain(said.out)
    assert json.loads(said.out[said.out.index("{") :]) == {"title": HOSTILE}


def test_the_command_line_logs_without_control_signs(root):
    root.handlers.clear()  # pytest's, which would stay
    done = CliRunner().invoke(main, ["-v", "model", "--help"])
    assert done.exit_code == 0
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, HOSTILE, (), None)
    formatted = root.handlers[-1].format(record)
    assert formatted.startswith("INFO x: ") and formatted.isprintable()
