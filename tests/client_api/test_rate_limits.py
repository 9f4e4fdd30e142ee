"""Token buckets, and the routes that are limited by them."""

from pathlib import Path
from typing import Any

import pytest

from helpers.homeserver import Answer, TestServer
from tabstead.client_api.rate_limits import (
    LOGGING_IN,
    REGISTERING,
    SENDING,
    WRONG_PASSWORDS,
    Caller,
    RateLimit,
    RateLimiter,
)
from tabstead.configuration import Rate, RateLimits
from tabstead.errors import LimitExceeded
from tabstead.http import Request

LIMIT = RateLimit(name="test", caller=Caller.ADDRESS, burst=3, refill_ms=1000)


class TestABucket:
    @pytest.fixture
    def time(self) -> list[int]:
        return [1_000_000]

    @pytest.fixture
    def limiter(self, time: list[int]) -> RateLimiter:
        return RateLimiter(lambda: time[0], enabled=True)

    def how_many(self, limiter: RateLimiter, caller: str = "a") -> int:
        """How many requests pass at this moment."""
        for count in range(100):
            try:
                limiter.take(LIMIT, caller)
            except LimitExceeded:
                return count
        return 100

    def test_it_holds_a_burst_and_then_one_request_at_a_time(self, limiter: RateLimiter, time: list[int]) -> None:
        assert self.how_many(limiter) == 3
        time[0] += 999
        assert self.how_many(limiter) == 0
        time[0] += 1
        assert self.how_many(limiter) == 1
        time[0] += 2500
        assert self.how_many(limiter) == 2
        time[0] += 3_600_000
        assert self.how_many(limiter) == 3

    def test_it_says_how_long_to_wait(self, limiter: RateLimiter, time: list[int]) -> None:
        self.how_many(limiter)
        time[0] += 400
        with pytest.raises(LimitExceeded) as refused:
            limiter.take(LIMIT, "a")
        assert refused.value.retry_after_ms == 600
        time[0] += refused.value.retry_after_ms
        limiter.take(LIMIT, "a")

    def test_everybody_has_their_own(self, limiter: RateLimiter) -> None:
        self.how_many(limiter)
        assert self.how_many(limiter, "b") == 3

    def test_nobody_in_particular_is_not_limited(self, limiter: RateLimiter) -> None:
        for _ in range(10):
            limiter.take(LIMIT, None)

    def test_the_operator_may_give_a_limit_another_rate(self, time: list[int]) -> None:
        limiter = RateLimiter(lambda: time[0], enabled=True, rates={"test": Rate(burst=5, refill_ms=10)})
        assert self.how_many(limiter) == 5
        time[0] += 20
        assert self.how_many(limiter) == 2

    def test_when_switched_off_nothing_is_limited(self) -> None:
        assert self.how_many(RateLimiter(lambda: 0, enabled=False)) == 100


async def register_from(server: TestServer, address: str) -> Answer:
    body = b'{"auth": {"type": "m.login.dummy"}}'
    return await server.handle(
        Request(method="POST", path="/_matrix/client/v3/register", body=body, client_address=address)
    )


async def log_in(server: TestServer, password: str, user: str = "alice") -> Answer:
    body: dict[str, Any] = {"type": "m.login.password", "user": user, "password": password}
    return await server.anonymous().answer("POST", "/v3/login", body)


class TestRoutes:
    async def test_an_address_registers_only_so_many(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, rate_limits=RateLimits())
        for _ in range(REGISTERING.burst):
            assert (await register_from(server, "192.0.2.1")).status == 200
        refused = await register_from(server, "192.0.2.1")
        assert (refused.status, refused.json["errcode"]) == (429, "M_LIMIT_EXCEEDED")
        assert 0 < refused.json["retry_after_ms"] <= REGISTERING.refill_ms
        assert int(refused.headers["Retry-After"]) == -(-refused.json["retry_after_ms"] // 1000)
        assert (await register_from(server, "192.0.2.2")).status == 200
        server.clock.now += refused.json["retry_after_ms"]
        assert (await register_from(server, "192.0.2.1")).status == 200

    async def test_wrong_passwords_are_counted_for_the_user_in_any_spelling(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, rate_limits=RateLimits())
        await server.register("alice", "rosebud")
        for spelling in ["alice", "ALICE"] * (WRONG_PASSWORDS.burst // 2):
            assert (await log_in(server, "wrong", spelling)).status == 403
        assert (await log_in(server, "rosebud")).status == 429
        server.clock.now += WRONG_PASSWORDS.refill_ms
        assert (await log_in(server, "rosebud")).status == 200

    async def test_right_passwords_are_not(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, rate_limits=RateLimits())
        await server.register("alice", "rosebud")
        for _ in range(WRONG_PASSWORDS.burst + 1):
            assert (await log_in(server, "rosebud")).status == 200

    async def test_whatever_is_asked_counts_for_the_token_or_else_the_address(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, rate_limits=RateLimits(asking=Rate(burst=2, refill_ms=1000)))
        alice, bob = await server.register("alice"), await server.register("bob")
        for client in (alice, bob):
            await client.get("/v3/joined_rooms")
            await client.get("/v3/devices")
            assert await client.refused("GET", "/v3/pushrules/") == (429, "M_LIMIT_EXCEEDED")
        await server.anonymous().get("/versions")
        await server.anonymous().get("/versions")
        assert await server.anonymous().refused("GET", "/versions") == (429, "M_LIMIT_EXCEEDED")

    async def test_the_operator_may_switch_it_off(self, tmp_path: Path) -> None:
        server = await TestServer.open(tmp_path, rate_limits=RateLimits(enabled=False))
        for _ in range(LOGGING_IN.burst + 1):
            assert (await log_in(server, "wrong", "nobody")).status == 403

    @pytest.mark.parametrize("prefix", ["v3", "r0"])
    async def test_a_flood_of_messages_is_dammed_whichever_path_it_takes(self, tmp_path: Path, prefix: str) -> None:
        server = await TestServer.open(tmp_path, rate_limits=RateLimits())
        alice, bob = await server.register("alice"), await server.register("bob")
        room_id = await alice.create_room(preset="public_chat")
        await bob.join(room_id)
        this_moment = server.clock.now
        for _ in range(SENDING.burst):
            server.homeserver.context.rate_limiter.take(SENDING, alice.access_token)
            server.clock.now = this_moment
        path = f"/{prefix}/rooms/{room_id}/send/m.room.message"
        assert await alice.refused("PUT", f"{path}/1", {"body": "x"}) == (429, "M_LIMIT_EXCEEDED")
        await bob.put(f"{path}/1", {"body": "x"})
