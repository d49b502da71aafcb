"""An executor whose work takes until a file exists."""

import time

from clipseek.schema import Video
from executors.flow.callers import Caller
from executors.flow.endpoint import endpoint
from executors.flow.executor import WORKER, ChainExecutor


class SlowExecutor(ChainExecutor):
    @endpoint("/videos", queue=WORKER)
    def videos(self, doc: Video, _caller: Caller) -> str:
        home = self.settings.home
        (home / f"{doc.title} begun").touch()
        while not (home / "go").exists():
            time.sleep(0.01)
        doc.status = "ready"
        return "done"
