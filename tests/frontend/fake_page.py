"""The page over the client that answers from memory: `python -m tests.frontend.fake_page --address ... --port ...`.

Its first video has a transcript, and each of its clips is one video of eight seconds.
"""

import shutil
import tempfile
from pathlib import Path

from benchmarks.synthetic.videos import make
from clipseek.api.documents import Cue
from clipseek.client import SavedClip
from frontend import __main__ as page
from frontend import services
from tests.frontend.fake import FakeClient


def line(number: int) -> Cue:
    source = "screen" if number % 4 == 3 else "speech"
    text = f"line {number} of <b>words</b> 望远镜"
    return Cue(cue_id=number, start_seconds=2.0 * number + 0.04, end_seconds=2.0 * number + 2, text=text, source=source)


class TalkingClient(FakeClient):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.cues = [line(number) for number in range(28)]
        self.library[0].cues, self.library[0].words = 28, "read"
        self._video = make(folder / "video.mp4", frames=200).path

    def clip(self, name, start_seconds, end_seconds, output, *, mode="exact"):
        shutil.copy(self._video, output)
        return SavedClip(Path(output), start_seconds, end_seconds, 4)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = TalkingClient(Path(folder))
        services.Client = lambda: client
        services.page_folder = lambda: Path(folder)
        page.main()


if __name__ == "__main__":
    main()
