"""Looks at the videos of a library, wherever they are, for `clipseek doctor`.

`python -m executors.video_loader.media.checks.library_check LIBRARY [--repair] < titles.json` prints the findings as JSON; the input
names the store's videos, `{video_id: title}`, and the settings come from the environment.
"""

import json
import sys
from collections.abc import Iterator, Mapping

from clipseek.api.errors import ClipSeekError
from clipseek.config.libraries import media_folder
from clipseek.config.settings import Settings
from clipseek.upkeep.finding import ERROR, print_findings
from clipseek.upkeep.finding import Finding as Check
from executors.video_loader.media.checks.media_check import check_media, repair_media
from executors.video_loader.media.checks.shared_check import check_shared, repair_shared
from executors.video_loader.media.shared_media import check_reach, open_shared_store

_CHUNK_BYTES = 1  # whatever it is: nothing is uploaded here


def checks(settings: Settings, library: str, titles: Mapping[str, str], *, repair: bool) -> Iterator[Check]:
    """What is found, or with `repair` what was done."""
    try:
        check_reach(settings)
        if settings.media_url:
            yield from (repair_shared if repair else check_shared)(
                open_shared_store(settings, library, _CHUNK_BYTES), titles
            )
        else:
            yield from (repair_media if repair else check_media)(media_folder(settings, library), titles)
    except ClipSeekError as error:
        yield Check("videos", ERROR, str(error), "Nothing can be said of the videos before that is right.")


def main() -> None:
    repair = "--repair" in sys.argv[2:]
    print_findings(checks(Settings.from_env(), sys.argv[1], json.load(sys.stdin), repair=repair))


if __name__ == "__main__":
    main()
