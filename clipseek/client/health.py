"""Asks each executor of a running Flow for its state, also where the chain is broken."""

import asyncio

from clipseek.api.documents import Component, Health
from clipseek.api.endpoints import EXECUTORS
from clipseek.api.errors import ServerFailed, ServerNotReady, StoreError
from clipseek.client.transport import Transport


async def ask_health(transport: Transport, timeout_seconds: float) -> list[Component]:
    """Ask the whole chain, and if that fails, each executor by its name.

    Returns: one component for each executor, in the order of the chain; not `ok` where it does not answer, with the
        reason as its warning.

    Raises: ServerUnreachable: not even the gateway answers.
    """
    try:
        answer = await transport.post_one("/health", Health(), timeout_seconds=timeout_seconds)
        if [component.name for component in answer.components] == list(EXECUTORS) and not answer.down:
            return list(answer.components)
    except (ServerNotReady, ServerFailed, StoreError):
        pass  # below it turns out which executor does not answer, and why
    answers = await asyncio.gather(*(_ask_executor(transport, name, timeout_seconds) for name in EXECUTORS))
    down = {name: reason for health in answers for name, reason in health.down.items()}
    components = [component for health in answers for component in health.components]
    for component in components:
        if not component.ok:
            component.warnings = [down.get(component.name, warning) for warning in component.warnings]
        processes = [name for name in down if name.startswith(f"{component.name}-")]  # its replicas
        if processes:
            component.ok, component.warnings = False, [f"{name}: {down[name]}" for name in processes]
    return components


async def _ask_executor(transport: Transport, name: str, timeout_seconds: float) -> Health:
    try:
        answer = await transport.post_one("/health", Health(), executor=name, timeout_seconds=timeout_seconds)
    except (ServerNotReady, ServerFailed, StoreError) as error:
        return Health(components=[Component(name=name, ok=False, warnings=[str(error)])])
    if not answer.components:
        silent = Component(name=name, ok=False, warnings=[f"{name} is not part of the running server"])
        answer.components = [silent]
    return answer
