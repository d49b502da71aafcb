"""docs/limits.md names every limit with its default."""

import re
from pathlib import Path

from clipseek.config.declaration import rows_of
from clipseek.config.limits import Limits

TABLE = (Path(__file__).parents[3] / "docs" / "limits.md").read_text(encoding="utf-8")


def test_the_table_holds_every_limit_with_its_default():
    rows = dict(re.findall(r"^\| `(CLIPSEEK_\w+)` \| `?([^\s`]+)`? \| [^|]+ \| [^|]+ \|$", TABLE, re.MULTILINE))
    assert rows == {row.variable: row.default for row in rows_of(Limits).values()}
