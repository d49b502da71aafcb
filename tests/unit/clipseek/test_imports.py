"""What the client and the command import: little, so that they start at once."""

import subprocess
import sys

import pytest

SLOW = {"jina", "docarray", "pydantic", "torch", "numpy", "pandas", "PIL", "opentelemetry", "requests", "filelock"}
SEARCH = (
    "from clipseek.cli.main import main; main(['search', 'a', '--host', 'grpc://127.0.0.1:1'], None, None, None, False)"
)


def imported(program: str) -> set[str]:
    """The packages that a program has imported at its end, whether it ends well or not."""
    lines = ["import sys", "try:", f"    {program}", "except SystemExit:", "    pass"]
    lines.append("print(*{name.partition('.')[0] for name in sys.modules})")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("program", "needs", "does_without"),
    [
        ("import clipseek.client", {"grpc", "google"}, {"rich", "click"}),
        ("import clipseek.cli.main", {"click"}, {"grpc", "google", "rich", "platformdirs", "asyncio"}),
        (SEARCH, {"click", "grpc", "rich"}, set()),
    ],
)
def test_slow_packages_are_not_imported(program, needs, does_without):
    packages = imported(program)
    assert needs <= packages
    assert not packages & (SLOW | does_without)
