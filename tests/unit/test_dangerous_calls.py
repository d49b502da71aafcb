"""No shell, and nothing that turns foreign bytes into code, anywhere in what is shipped."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
HARMLESS = {"joblib.cpu_count"}
CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "subprocess.getoutput"}
SOURCES = sorted(
    file for folder in ("clipseek", "executors", "frontend", "benchmarks") for file in (ROOT / folder).rglob("*.py")
)


def dangers(source: str) -> set[str]:
    """What in a module's source could run what it was not to run."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} & MODULES
        elif isinstance(node, ast.Call):
            name, words = ast.unparse(node.func), {word.arg: word.value for word in node.keywords}
            found |= {name} & CALLS | ({name.partition(".")[0]} & MODULES if name not in HARMLESS else set())
            if "shell" in words and ast.unparse(words["shell"]) != "False":
                found.add("shell")
            if name == "torch.load" and ("weights_only" not in words or ast.unparse(words["weights_only"]) != "True"):
                found.add(name)
            if name in ("np.load", "numpy.load") and "allow_pickle" in words:
                found.add(name)
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: "/".join(file.parts[-2:]))
def test_nothing_foreign_is_run(file):
    assert not dangers(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "source",
    [
        "pickle.loads(data)",
        "from pickle import loads",
        "joblib.load(path)",
        "from joblib import cpu_count, load",
        "subprocess.run('ls', shell=True)",
        "os.system('ls')",
        "eval('1')",
        "yaml.load(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_what_is_looked_for_is_found(source):
    assert dangers(source)
