"""The suite of hostile calls finds what it looks for."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.torture.call_fuzz import SECRET_TITLE, Honest, Target, _broken


@pytest.fixture
def target(tmp_path) -> Target:
    """A service in a folder of its own, as the suite starts it."""
    folder = tmp_path / "service"
    for name in ("home", "cache", "model"):
        (folder / name).mkdir(parents=True)
    return Target(1, folder, folder / "home", [])


def audited(home: Path, *titles: str) -> None:
    lines = [json.dumps({"what": "renamed", "title": title}) for title in titles]
    (home / "audit.log").write_text("\n".join(lines), encoding="utf-8")


def broken(target: Target, files: set[Path], *titles: str) -> list[str]:
    return _broken(target, Honest(SimpleNamespace(), "v", list(titles)), {}, files, 1.0)


@pytest.mark.parametrize(
    ("planted", "is_strange"),
    [
        ("service/planted", True),
        ("service/model/planted", True),
        ("service/tmp-planted", True),
        ("planted", True),
        ("service/home/any", False),
        ("service/cache/any", False),
        ("tmpabc", False),
        ("clipseek-start-1", False),
    ],
)
def test_a_file_outside_the_store_is_found(target, planted, is_strange):
    """Also below a folder such as /tmp."""
    audited(target.home, "a")
    before = target.files_outside()
    path = target.folder.parent / planted
    path.touch()
    assert broken(target, before, "a") == ([f"a file outside the store: {path}"] if is_strange else [])


def test_a_change_that_the_audit_log_lacks_is_found(target):
    audited(target.home, "a")
    assert broken(target, target.files_outside(), "a", "b") == ["the audit log lacks the title 'b'"]


def test_an_honest_caller_who_changes_nothing_shows_nothing(target):
    audited(target.home)
    assert broken(target, target.files_outside()) == ["the honest caller changed nothing that the audit log could lack"]


def test_the_honest_caller_changes_something_at_once():
    end, titles = threading.Event(), []
    match = SimpleNamespace(title=SECRET_TITLE)

    def search(*_, **__):
        end.set()
        return SimpleNamespace(matches=[match])

    client = SimpleNamespace(search=search, rename=lambda _, title: titles.append(title))
    caller = Honest(client, "v")
    caller.work_until(end)
    assert titles == caller.titles == [f"0 {SECRET_TITLE}"] and not caller.faults
