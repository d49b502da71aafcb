"""A server that others reach: only with a token or on purpose, and with TLS."""

import os
import subprocess
import sys

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from clipseek.config.access import AccessFile
from clipseek.machine.ports import free_port
from tests.flow.conftest import ROOT

NAME = "videos.example"


def test_a_server_without_tokens_is_not_put_on_the_network(launch, tmp_path):
    server = launch(tmp_path, "--bind", "0.0.0.0", ready=False)
    assert server.process.wait(timeout=60) == 2
    server.wait_for("--allow-anyone-on-the-network")


def test_flow_yml_alone_refuses_that_too(tmp_path, cache, tiny_model):
    script = """
import clipseek.schema
from jina import Flow

if __name__ == "__main__":
    with Flow.load_config("flow.yml"):
        print("serving")
"""
    (tmp_path / "bare.py").write_text(script)
    environ = {
        "CLIPSEEK_HOME": str(tmp_path / "home"),
        "CLIPSEEK_CACHE": str(cache),
        "CLIPSEEK_MODEL": str(tiny_model),
        "CLIPSEEK_PORT": str(free_port("127.0.0.1")),
        "CLIPSEEK_BIND": "0.0.0.0",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bare.py")],
        check=False,
        env={**os.environ, **environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode and "serving" not in done.stdout
    assert "InvalidSetting" in done.stdout


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_from_the_command_to_the_clients(launch, tmp_path, tiny_model, authority):
    """The certificate names another host than the 127.0.0.1 at which the server's own machine reaches it."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert(NAME, "127.0.0.2")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    token = AccessFile(tmp_path / "home").add("alice")
    tls = {"CLIPSEEK_TLS_CERT": str(tmp_path / "cert.pem"), "CLIPSEEK_TLS_KEY": str(tmp_path / "key.pem")}
    server = launch(tmp_path / "home", "--bind", "0.0.0.0", CLIPSEEK_MODEL=str(tiny_model), **tls)
    assert f"grpcs://0.0.0.0:{server.port}" in server.output

    def videos(**environ: str) -> subprocess.CompletedProcess[str]:
        """As a user calls it: gRPC reads the authority to trust once in a process."""
        return subprocess.run(
            [sys.executable, "-m", "clipseek", "videos", "--json"],
            check=False,
            env={**os.environ, "CLIPSEEK_TOKEN": token, **environ},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )

    there = f"grpcs://127.0.0.2:{server.port}"
    trusted = {"CLIPSEEK_TLS_CA": str(tmp_path / "ca.pem")}
    assert videos(CLIPSEEK_HOST=there, **trusted).stdout == "[]\n"
    assert videos(CLIPSEEK_PORT=str(server.port), **tls).stdout == "[]\n"
    for host, authorities in (
        (there, {}),
        (f"grpcs://127.0.0.1:{server.port}", trusted),
        (f"grpc://127.0.0.2:{server.port}", {}),
    ):
        refused = videos(CLIPSEEK_HOST=host, **authorities)
        assert (refused.returncode, refused.stdout) == (1, ""), host
        assert "CLIPSEEK_TLS_CA" in refused.stderr or host.startswith("grpc:")
        assert token not in refused.stderr

    credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
    options = [("grpc.ssl_target_name_override", NAME)]
    with grpc.secure_channel(f"127.0.0.1:{server.port}", credentials, options) as channel:
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == 1
    assert server.stop() == 0


@pytest.mark.parametrize("given", ["cert", "key", "both"])
def test_certificates_that_cannot_be_used_are_told_at_the_start(launch, tmp_path, given):
    (tmp_path / "no.pem").write_text("nothing")
    tls = {"CLIPSEEK_TLS_CERT": str(tmp_path / "no.pem"), "CLIPSEEK_TLS_KEY": str(tmp_path / "no.pem")}
    chosen = {name: path for name, path in tls.items() if given == "both" or name.endswith(given.upper())}
    server = launch(tmp_path / "home", ready=False, **chosen)
    assert server.process.wait(timeout=60) == 2
    server.wait_for("cannot be used" if given == "both" else "go together")
