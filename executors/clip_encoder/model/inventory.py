"""Which models are on this machine, and how one comes here. `clipseek model list` and `clipseek model get` run it.

`python -m executors.clip_encoder.model.inventory` prints, as JSON, which models are here. With a NAME it gets that
model, with progress on stderr, and prints where its weights are.
"""

import sys
from dataclasses import replace

from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # not in __all__

from clipseek.api.errors import ModelUnavailable
from clipseek.config.profiles import PROFILES, STARTER
from clipseek.config.settings import Settings
from clipseek.machine.module_call import print_result
from executors.clip_encoder.model.quirks import import_open_clip
from executors.clip_encoder.model.registry import Registry


def find_models(registry: Registry) -> list[str]:
    """The names of the models whose files are all here: profiles and open_clip NAME/TAG. The starter always is."""
    offline = replace(registry, hub=replace(registry.hub, may_download=False))
    names = {row.open_clip_name: name for name, row in PROFILES.items()}
    known = [*names, *(name for pair in import_open_clip().list_pretrained() if (name := "/".join(pair)) not in names)]
    return [STARTER, *(names.get(name, name) for name in known if _is_here(offline, name))]


def _is_here(offline: Registry, name: str) -> bool:
    try:
        offline.resolve(name)
    except ModelUnavailable:
        return False
    return True


def get_model(registry: Registry, name: str) -> dict[str, str]:
    """Bring a model here. Raises: UnknownModel, ModelUnavailable."""
    spec = registry.resolve(name)
    return {"model": spec.name, "weights": str(spec.checkpoint)}


def main() -> None:
    registry = Registry(Settings.from_env().cache)
    if len(sys.argv) == 1:
        print_result(lambda: find_models(registry))
        return
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        print_result(lambda: get_model(registry, sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)  # the command says what is kept


if __name__ == "__main__":
    main()
