"""An executor that is asked to stop while it works."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jina.types.request.data import DataRequest

from clipseek.machine.ports import free_port
from clipseek.schema import DocList, Video
from executors.flow.callers import Caller, signed
from executors.flow.gateway.replicas import ReplicaPool

ROOT = Path(__file__).parents[3]
SECRET = "5e" * 32
COMMAND = ("-m", "executors.flow.pod", "executor", "--uses", "SlowExecutor", "--name", "indexer")
MODULE = ("--py-modules", "tests.unit.flow.slow_executor")


def asked(title: str) -> DataRequest:
    request = DataRequest()
    request.header.exec_endpoint = "/videos"
    request.parameters = signed(Caller("alice", route=("indexer",)), "/videos", SECRET, time.time())
    request.data.docs = DocList[Video]([Video(title=title)])
    return request


def test_it_answers_what_is_under_way_and_then_ends(tmp_path):
    port = free_port("127.0.0.1")
    settings = {"CLIPSEEK_HOME": str(tmp_path), "CLIPSEEK_FLOW_SECRET": SECRET, "JINA_LOG_LEVEL": "CRITICAL"}
    process = subprocess.Popen(
        [sys.executable, *COMMAND, *MODULE, "--host", "127.0.0.1", "--port", str(port)],
        env={**os.environ, **settings},
        cwd=ROOT,
    )

    async def work() -> Video:
        pool = ReplicaPool({"indexer": [f"127.0.0.1:{port}"]})
        pool.connect()
        [replica] = pool._replicas["indexer"]
        while not replica.is_up:
            await asyncio.sleep(0.01)
        asking = asyncio.create_task(pool.send_requests_once([asked("first")], "indexer"))
        while not (tmp_path / "first begun").exists():
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        while replica.is_up:  # until it refuses further requests
            await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        answer, _ = await asking
        await pool.close()
        answer.document_array_cls = DocList[Video]
        return answer.docs[0]

    try:
        assert asyncio.run(asyncio.wait_for(work(), 60)).status == "ready"
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
