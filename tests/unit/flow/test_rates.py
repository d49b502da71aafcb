"""How much one caller may ask for, and that others do not wait for it."""

import asyncio
import errno

import pytest

from clipseek.api.errors import InvalidRequest, StoreFull, TooManyRequests, UploadCorrupted
from executors.flow.gateway.rates import BURST_SECONDS, BYTES_OF_WORK, FIELDS_OF_WORK, LANE_WIDTH, LEAST_BURST, Rates
from executors.flow.gateway.request_size import RequestSize
from executors.video_loader.media.open_uploads import OpenUploads

ONE = RequestSize(100, 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate():
    async def work():
        clock = Clock()
        rates = Rates(50, 2, clock)

        async def ask(count):
            for _ in range(count):
                (await rates.enter("a", "/search", ONE))()

        await ask(int(50 * BURST_SECONDS))
        with pytest.raises(TooManyRequests, match=r"50 documents a second.*CLIPSEEK_REQUESTS_PER_SECOND"):
            await ask(1)
        await rates.enter("b", "/search", ONE)  # another caller has limits of its own
        clock.now = 0.1
        await ask(5)
        with pytest.raises(TooManyRequests):
            await ask(1)

    asyncio.run(work())


def test_too_many_under_way_are_refused_until_some_are_done():
    async def work():
        rates = Rates(1000, 12)
        running = [await rates.enter("a", "/search", ONE) for _ in range(LANE_WIDTH)]
        waiting = [asyncio.create_task(rates.enter("a", "/search", ONE)) for _ in range(12 - LANE_WIDTH)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests, match=r"12 requests under way.*CLIPSEEK_REQUESTS_UNDER_WAY"):
            await rates.enter("a", "/videos", ONE)
        running.pop()()
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [task.done() for task in waiting] == [True, False, False, False]  # in their order
        waiting[-1].cancel()  # who gives up while waiting takes no place
        await asyncio.sleep(0)
        (await rates.enter("a", "/videos", ONE))()

    asyncio.run(work())


def test_documents_and_bytes_count_not_requests():
    async def work():
        rates = Rates(1, 1000, Clock())
        (await rates.enter("a", "/search", RequestSize(100, LEAST_BURST - 4)))()
        (await rates.enter("a", "/upload", RequestSize(2 * BYTES_OF_WORK, 1)))()
        (await rates.enter("a", "/search", RequestSize(100, 1, 2 * FIELDS_OF_WORK)))()
        with pytest.raises(TooManyRequests, match=r"counts as 1\. Slow down"):
            await rates.enter("a", "/search", ONE)
        with pytest.raises(TooManyRequests, match=f"counts as 3000. Send at most {LEAST_BURST} in one request"):
            await rates.enter("b", "/search", RequestSize(100, 3000))

    asyncio.run(work())


def test_asking_whether_a_caller_may_send_costs_nothing_and_a_refusal_makes_no_debt():
    async def work():
        clock = Clock()
        rates = Rates(1, 1000, clock)
        for _ in range(2 * LEAST_BURST):
            rates.require("a")
        for _ in range(LEAST_BURST - 1):
            (await rates.enter("a", "/search", ONE))()
        rates.charge("a", RequestSize(100, 1000))
        with pytest.raises(TooManyRequests):
            rates.require("a")
        clock.now = 1.0
        (await rates.enter("a", "/search", ONE))()

    asyncio.run(work())


def test_a_pause_saves_up_no_more_than_a_burst():
    async def work():
        clock = Clock()
        rates = Rates(100, 1000, clock)
        for clock.now in (0.0, 1000.0, 2000.0):
            with pytest.raises(TooManyRequests, match="Send at most 200 in one request"):
                await rates.enter("a", "/search", RequestSize(100, 201))
            (await rates.enter("a", "/search", RequestSize(100, 200)))()
            with pytest.raises(TooManyRequests, match="Slow down"):
                await rates.enter("a", "/search", RequestSize(100, 200))

    asyncio.run(work())


def test_a_request_that_is_cancelled_while_it_waits_gives_its_place_back():
    async def work():
        rates = Rates(1000, LANE_WIDTH + 4)
        for _ in range(LANE_WIDTH):
            await rates.enter("a", "/search", ONE)
        waiting = [asyncio.create_task(rates.enter("a", "/search", ONE)) for _ in range(4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.wait(waiting[1:2])
        async with asyncio.timeout(1):
            await rates.enter("a", "/videos", ONE)
        with pytest.raises(TooManyRequests):
            await rates.enter("a", "/videos", ONE)
        for task in waiting:
            task.cancel()

    asyncio.run(work())


def test_a_flood_stands_in_its_own_lane():
    """While one caller floods /index, its own searches and all that others ask pass at once."""

    async def work():
        rates = Rates(1000, 100)
        flood = [asyncio.create_task(rates.enter("flooder", "/index", ONE)) for _ in range(50)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in flood) == LANE_WIDTH
        async with asyncio.timeout(1):
            await rates.enter("flooder", "/search", ONE)
            await rates.enter("other", "/index", ONE)
        for task in flood:
            task.cancel()

    asyncio.run(work())


def test_open_uploads_are_counted_per_caller_and_forgotten_in_the_end(tmp_path):
    clock = Clock()
    uploads = OpenUploads(tmp_path, 2, 100, clock)
    for video in ("1", "2", "1"):
        uploads.begin("a", ("main", video))
    with pytest.raises(TooManyRequests, match=r"2 uploads open.*CLIPSEEK_OPEN_UPLOADS"):
        uploads.begin("a", ("main", "3"))
    uploads.begin("b", ("main", "3"))
    assert uploads.end("a", ("main", "1")) and not uploads.end("a", ("main", "1"))
    uploads.begin("a", ("main", "3"))
    clock.now = 99
    with pytest.raises(TooManyRequests):
        OpenUploads(tmp_path, 2, 100, clock).begin("a", ("main", "4"))  # of another replica, or after a restart
    clock.now = 101
    OpenUploads(tmp_path, 2, 100, clock).begin("a", ("main", "4"))


def test_an_upload_is_noted_under_no_name_that_its_caller_chose(tmp_path):
    OpenUploads(tmp_path / "uploads", 2, 100).begin("../a", ("main", "../../../b"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["uploads", "uploads.locks"]


def test_an_upload_whose_first_piece_is_refused_does_not_stay_open(tmp_path):
    uploads = OpenUploads(tmp_path, 1, 100, Clock())
    for video in ("1", "2"):
        with pytest.raises(InvalidRequest), uploads.receiving("a", ("main", video)):
            raise InvalidRequest("no chunk")
    with uploads.receiving("a", ("main", "3")):
        pass
    with pytest.raises(TooManyRequests), uploads.receiving("a", ("main", "4")):
        pass


def test_a_refused_piece_does_not_hide_an_upload_whose_other_pieces_are_kept(tmp_path):
    uploads = OpenUploads(tmp_path, 1, 100, Clock())
    with uploads.receiving("a", ("main", "1")):
        pass
    with pytest.raises(InvalidRequest), uploads.receiving("a", ("main", "1")):
        raise InvalidRequest("no chunk")
    with pytest.raises(TooManyRequests):
        uploads.begin("a", ("main", "2"))
    with pytest.raises(UploadCorrupted), uploads.receiving("a", ("main", "1")):
        raise UploadCorrupted("its pieces were deleted")
    uploads.begin("a", ("main", "2"))


@pytest.mark.parametrize("is_deleted", [False, True])
def test_an_upload_that_two_callers_send_ends_for_both(tmp_path, is_deleted):
    uploads, upload = OpenUploads(tmp_path, 1, 100, Clock()), ("main", "1")
    for caller in ("a", "b"):
        uploads.begin(caller, upload)
    if is_deleted:
        uploads.forget(upload)
    else:
        assert not uploads.end("c", upload)  # a caller that only asks for the video has not uploaded it
        assert uploads.end("a", upload) and not uploads.end("b", upload)
    for caller in ("a", "b"):
        uploads.begin(caller, ("main", "2"))


def test_a_full_disk_refuses_an_upload_that_cannot_be_noted(tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("pathlib.Path.touch", fails)
    with pytest.raises(StoreFull, match="the list of open uploads"):
        OpenUploads(tmp_path, 1, 100, Clock()).begin("a", ("main", "1"))
