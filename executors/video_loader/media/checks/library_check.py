"""Checks the videos of a library, wherever they are, for `clipseek doctor`.

`python -m executors.video_loader.media.checks.library_check LIBRARY [--repair] < titles.json` prints the findings as
JSON. The input has the titles of the store's videos, `{video_id: title}`; settings come from the environment.
"""

import json
import sys
from collections.abc import Iterator, Mapping

from clipseek.api.errors import ClipSeekError
from clipseek.config.libraries import media_folder
from clipseek.config.settings import Settings
from clipseek.upkeep.finding import ERROR, Finding, print_findings
from executors.video_loader.media.checks.media_check import check_media, repair_media
from executors.video_loader.media.checks.shared_check import check_shared, repair_shared
from executors.video_loader.media.shared_media import check_media_reachable, open_shared_media

_CHUNK_BYTES = 1  # any value: nothing is uploaded here


def check_library(settings: Settings, library: str, titles: Mapping[str, str], *, repair: bool) -> Iterator[Finding]:
    """The findings, or with `repair` what was done."""
    try:
        check_media_reachable(settings)
        if settings.media_url:
            media = open_shared_media(settings, library, _CHUNK_BYTES)
            yield from (repair_shared if repair else check_shared)(media, titles)
        else:
            yield from (repair_media if repair else check_media)(media_folder(settings, library), titles)
    except ClipSeekError as error:
        yield Finding("videos", ERROR, str(error), "Fix this first: the videos were not checked.")


def main() -> None:
    repair = "--repair" in sys.argv[2:]
    print_findings(check_library(Settings.from_env(), sys.argv[1], json.load(sys.stdin), repair=repair))


if __name__ == "__main__":
    main()
