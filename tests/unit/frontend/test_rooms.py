"""The arrows between the page's rooms go one way."""

import pytest

from tests.unit.test_architecture import imports, named, sources

# Rooms and modules of the page, from the bottom up: each may import those before it.
FLOORS = [
    "frontend.texts",
    "frontend.logic",
    "frontend.media",
    "frontend.uploads",
    "frontend.services",
    "frontend.components.visitor",
    "frontend.components.messages",
    "frontend.components.elements",
    "frontend.components.clip_editor",
    "frontend.components.video_timeline",
    "frontend.components.search",
    "frontend.components.library",
    "frontend.views",
]


def floor_of(name):
    return next((floor for floor, room in enumerate(FLOORS) if f"{name}.".startswith(f"{room}.")), None)


@pytest.mark.parametrize("path", sources("frontend"), ids=named)
def test_a_room_of_the_page_imports_only_rooms_below_it(path):
    own = floor_of(named(path).removesuffix(".py").replace("/", "."))
    if own is not None:
        assert not [name for name in imports(path) if (floor_of(name) or 0) > own]
