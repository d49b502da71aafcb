"""docs/limits.md names every limit with its default."""

import re
from pathlib import Path

from clipseek.config.settings import LIMITS, VARIABLES

TABLE = (Path(__file__).parents[3] / "docs" / "limits.md").read_text(encoding="utf-8")


def test_the_table_holds_every_limit_with_its_default():
    rows = dict(re.findall(r"^\| `(CLIPSEEK_\w+)` \| (\S+) \| [^|]+ \| [^|]+ \|$", TABLE, re.MULTILINE))
    assert rows == {VARIABLES[name][0]: VARIABLES[name][1] for name in LIMITS}
