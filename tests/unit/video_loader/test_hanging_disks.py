"""The loader: what waits for a disk or an object store holds up nothing else."""

import asyncio
import threading
from dataclasses import replace

import pytest
from docarray import DocList

from clipseek.config.settings import Settings
from clipseek.schema import Health, Upload, Video
from executors.flow.callers import Caller
from executors.video_loader.executor import VideoLoader

CALLER = Caller("anyone")


@pytest.fixture
def loader(tmp_path):
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    loader = VideoLoader(settings, runtime_args={"name": "video_loader"})
    yield loader
    loader.close()


@pytest.mark.parametrize("path", ["/server_videos", "/delete"])
def test_a_disk_that_hangs_holds_up_only_what_needs_it(loader, monkeypatch, path):
    """As many requests as there are threads for what needs no queue."""
    free, begun = threading.Event(), threading.Event()

    def hang(*_):
        begun.set()
        assert free.wait(30)
        return []

    store = loader.store(CALLER.library)
    monkeypatch.setattr(store.folders, "list_videos", hang)
    monkeypatch.setattr(store, "delete", hang)
    caller = replace(CALLER, server_folders=True)

    async def ask_all() -> None:
        doc = Upload(server_path="/x") if path == "/server_videos" else Video(video_id="0" * 64)
        answer = loader.requests[path].fn
        waiting = [asyncio.create_task(answer(loader, DocList[type(doc)]([doc]), caller=caller)) for _ in range(8)]
        assert await asyncio.to_thread(begun.wait, 30)
        try:
            health = loader.requests["/health"].fn(loader, DocList[Health]([Health()]), caller=CALLER)
            [answered] = await asyncio.wait_for(health, 10.0)
            assert answered.components and not any(task.done() for task in waiting)
        finally:
            free.set()
            await asyncio.gather(*waiting)

    asyncio.run(ask_all())
