"""The model whose embeddings the store holds, for the encoders: they start before the indexer, so cannot ask it."""

from clipseek.api.errors import ClipSeekError, StoreError
from clipseek.config.libraries import MAIN
from clipseek.config.settings import Settings
from clipseek.config.store_files import has_store
from clipseek.machine.module_call import call_module


def read_store_model(settings: Settings, *, in_use: bool = False) -> str | None:
    """The name of the model of the main library; None if the store is missing, empty or unreadable.

    With `in_use` also None where no video needs it, and nobody chose it: then another one may take its place.
    """
    if not settings.store and not has_store(settings.home):
        return None
    report = "executors.faiss_indexer.store.report"
    try:
        [name] = call_module(
            report, "answering" if in_use else "model", MAIN, failure=StoreError, environ=settings.to_env()
        )
    except ClipSeekError:
        return None  # the indexer opens the same store and reports what is wrong with it
    return str(name) if name else None
