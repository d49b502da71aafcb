"""Looks at the films of a library, wherever they are, for `clipseek doctor`.

`python -m executors.video_loader.library_check LIBRARY [--repair] < titles.json` prints the findings as JSON; the input
names the store's videos, `{video_id: title}`, and the settings come from the environment.
"""

import json
import sys
from collections.abc import Iterator, Mapping

from clipseek.check import ERROR, Check, write_checks
from clipseek.errors import ClipSeekError
from clipseek.libraries import media_folder
from clipseek.settings import Settings
from executors.video_loader.media_check import check_media, repair_media
from executors.video_loader.shared_check import check_shared, repair_shared
from executors.video_loader.shared_store import check_reach, open_shared_store

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
        yield Check("films", ERROR, str(error), "Nothing can be said of the films before that is right.")


def main() -> None:
    repair = "--repair" in sys.argv[2:]
    write_checks(checks(Settings.from_env(), sys.argv[1], json.load(sys.stdin), repair=repair))


if __name__ == "__main__":
    main()
