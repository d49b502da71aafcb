"""The visitor's basket. The page keeps it, so that it outlives reloads and is the same in all tabs."""

from frontend.components.frame.visitor import visitor
from frontend.logic.basket import Basket, Item
from frontend.shared import services


def basket() -> Basket:
    return services().baskets.of(visitor())


def keep(changed: Basket) -> None:
    services().baskets.keep(visitor(), changed)


def put(item: Item) -> None:
    keep(basket().with_item(item))


def take(item: Item) -> None:
    keep(basket().without(item))
