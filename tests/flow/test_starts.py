"""Starts of a server: those that fail, with other models, beside another one; and flow.yml without the command."""

import os
import shutil
import subprocess
import sys

import psutil

from benchmarks.synthetic import videos
from benchmarks.synthetic.models import write_folder
from clipseek.machine.ports import executor_ports, free_port
from tests.flow.conftest import ROOT


def test_causes_of_a_failed_start_are_told_at_once(launch, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server = launch(tmp_path, ready=False, CLIPSEEK_MODEL="ViT-B-32/laion2b_s34b_b79", TMPDIR=str(temporary))
    assert server.process.wait(timeout=120) == 1
    assert not list(temporary.iterdir())
    server.wait_for("laion2b_s34b_b79k")
    assert "Traceback" not in server.output and "CRIT" not in server.output

    (tmp_path / "file").touch()
    server = launch(tmp_path / "file", ready=False)
    assert server.process.wait(timeout=120) == 1
    server.wait_for("CLIPSEEK_HOME")


def test_executors_listen_where_no_outgoing_connection_was_given_their_port_meanwhile(server):
    listening = {
        connection.laddr.port
        for process in server.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening - {server.port}) == 5
    assert listening - {server.port} <= set(executor_ports())


def test_a_taken_port_is_told(launch, tmp_path, server):
    second = launch(tmp_path, ready=False, CLIPSEEK_PORT=str(server.port))
    assert second.process.wait(timeout=60) == 1
    second.wait_for(f"Port {server.port} on 127.0.0.1 is taken")


def test_a_second_server_on_the_same_store_is_refused(launch, server):
    second = launch(server.home, ready=False)
    assert second.process.wait(timeout=120) == 1
    second.wait_for("in use by another server")
    with server.client() as client:
        assert client.health()


def test_a_local_model_folder_serves_also_where_the_setting_names_another_but_not_with_other_weights(launch, tmp_path):
    model, other_model = write_folder(tmp_path / "model"), write_folder(tmp_path / "other model", seed=1)
    server = launch(tmp_path / "store", CLIPSEEK_MODEL=f"local-dir:{model}")
    with server.client() as client:
        client.index(videos.make(tmp_path / "video.mp4", frames=100).path)
    server.stop()
    server = launch(tmp_path / "store", CLIPSEEK_MODEL=str(other_model))
    server.wait_for("and that one answers")
    with server.client() as client:
        assert client.search("anything at all", all_matches=True).matches[0].title == "video.mp4"
    server.stop()
    shutil.rmtree(model)
    other_model.rename(model)
    server = launch(tmp_path / "store", ready=False, CLIPSEEK_MODEL=str(model))
    assert server.process.wait(timeout=120) == 1
    server.wait_for("The executors and the store have different models")


def test_flow_yml_runs_without_the_command(tmp_path, cache):
    """`Flow.load_config("flow.yml")` in a bare interpreter, at the end of which nothing is left."""
    script = """
from clipseek.schema import Health, Upload
from docarray import DocList
from jina import Flow

if __name__ == "__main__":
    with Flow.load_config("flow.yml") as flow:
        [health] = flow.post("/health", DocList[Health]([Health()]), return_type=DocList[Health])
        print("components:", *(component.name for component in health.components))
        print("listens:", flow.host, flow.port)
        try:
            flow.post("/upload", DocList[Upload]([Upload(data=bytes(2_000_000))]), target_executor="video_loader")
        except Exception as error:
            print("too large:", "larger than max" in str(error))
"""
    port = free_port("127.0.0.1")
    environ = {
        "CLIPSEEK_HOME": str(tmp_path),
        "CLIPSEEK_CACHE": str(cache),
        "CLIPSEEK_MODEL": "starter",
        "CLIPSEEK_PORT": str(port),
        "CLIPSEEK_MAX_REQUEST_MB": "1",
    }
    (tmp_path / "bare.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bare.py")],
        check=False,
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "components: video_loader word_reader image_encoder text_encoder indexer" in done.stdout
    assert f"listens: 127.0.0.1 {port}" in done.stdout
    assert "too large: True" in done.stdout
