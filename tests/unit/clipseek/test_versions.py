"""Processes tell their versions, and what does not fit is refused with words."""

import pytest

from clipseek import __version__
from clipseek.api.documents import Component
from clipseek.api.errors import ServerNotReady
from clipseek.config.settings import Settings
from clipseek.machine.versions import find_misfits, own_versions
from clipseek.service import run
from clipseek.upkeep.doctor import _check_components


class OldServer:
    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def health(self):
        return [Component(name="indexer", facts={"version": "0.1.4", "wire": "1"})]


@pytest.mark.parametrize("facts", [{}, {"version": "0.1.4", "wire": "1"}, {"version": "0.1.4, 0.2.0", "wire": "2"}])
def test_another_minor_version_does_not_fit(facts):
    [misfit] = find_misfits([("indexer", facts)])
    assert misfit.startswith("indexer runs ClipSeek ") and "Install version 0.2 on both" in misfit


def test_the_same_minor_version_fits():
    minor = __version__.rpartition(".")[0]
    assert find_misfits([("a", own_versions()), ("b", own_versions() | {"version": f"{minor}.99"})]) == []


def test_the_start_refuses_a_process_of_another_version(monkeypatch):
    monkeypatch.setattr(run, "Client", OldServer)
    with pytest.raises(ServerNotReady, match=r"indexer runs ClipSeek 0\.1\.4 \(wire 1\)"):
        run._check_health(Settings.from_env({}))


def test_doctor_names_a_process_of_another_version():
    found = list(_check_components(OldServer().health()))
    assert (found[0].what, found[0].state) == ("version", "error") and "0.1.4" in found[0].found
