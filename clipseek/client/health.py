"""What each executor of a running Flow says of itself, also where the chain is broken."""

import asyncio

from clipseek.api.base_document import DocList
from clipseek.api.documents import Component, Health
from clipseek.api.endpoints import EXECUTORS
from clipseek.api.errors import ServerFailed, ServerNotReady, StoreError
from clipseek.client.transport import Transport


async def ask_health(transport: Transport, timeout_seconds: float) -> list[Component]:
    """Ask the whole chain, and if that does not do, each executor by its name.

    Returns: one of each executor, in the order of the chain; not `ok` where it does not answer, with the reason.

    Raises:
        ServerUnreachable: not even the gateway answers.
    """
    try:
        answer = await transport.post_one("/health", Health(), timeout_seconds=timeout_seconds)
        if [component.name for component in answer.components] == list(EXECUTORS) and not answer.down:
            return list(answer.components)
    except (ServerNotReady, ServerFailed, StoreError):
        pass  # who does not answer, and why, is found out below
    found = await asyncio.gather(*(_health_of(transport, name, timeout_seconds) for name in EXECUTORS))
    down = {name: why for health in found for name, why in health.down.items()}
    components = [component for health in found for component in health.components]
    for component in components:
        if not component.ok:
            component.warnings = [down.get(component.name, warning) for warning in component.warnings]
        parts = [name for name in down if name.startswith(f"{component.name}-")]  # its shards and replicas
        if parts:
            component.ok, component.warnings = False, [f"{name}: {down[name]}" for name in parts]
    return components


async def _health_of(transport: Transport, name: str, timeout_seconds: float) -> Health:
    """What an executor says of itself, or in its stead why it does not."""
    try:
        answer = await transport.post_one("/health", Health(), executor=name, timeout_seconds=timeout_seconds)
    except (ServerNotReady, ServerFailed, StoreError) as error:
        return Health(components=DocList[Component]([Component(name=name, ok=False, warnings=[str(error)])]))
    if not answer.components:
        silent = Component(name=name, ok=False, warnings=[f"{name} is not part of the running server"])
        answer.components = DocList[Component]([silent])
    return answer
