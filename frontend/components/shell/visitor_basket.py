"""The visitor's basket. The page stores it, so it survives reloads and is the same in all tabs."""

from frontend.components.shell.visitor import visitor
from frontend.logic.basket import Basket, BasketItem
from frontend.services import services


def visitor_basket() -> Basket:
    return services().baskets.read(visitor())


def save_basket(basket: Basket) -> None:
    services().baskets.write(visitor(), basket)


def add_to_basket(item: BasketItem) -> None:
    save_basket(visitor_basket().add(item))


def remove_from_basket(item: BasketItem) -> None:
    save_basket(visitor_basket().remove(item))
