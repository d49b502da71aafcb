import asyncio

from executors.flow.gateway.streams import asked_once


def test_a_question_is_answered_once_for_all():
    asked = []

    async def describe(question, _context):
        asked.append(question)
        return "the endpoints"

    async def ask_three_times():
        answer = asked_once(describe)
        return [await answer(number, None) for number in range(3)]

    assert asyncio.run(ask_three_times()) == ["the endpoints"] * 3
    assert asked == [0]
