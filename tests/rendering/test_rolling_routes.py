"""Rolling routes: whom a real Caddy with the rendered Caddyfile asks while a second container stands in for one."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.proxy import Proxy, running

CRM = "crm.smarterbot.cl"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    """Chatwoot rolls, n8n does not; both have a guard."""
    with running(tmp_path, chatwoot={"guard": True}, n8n={"guard": True}) as proxy:
        yield proxy


def asked(proxy: Proxy, host: str = CRM, path: str = "/cable") -> str:
    """Who was: the first or the second."""
    proxy.seconds[0].seen.clear()
    assert proxy.ask(path, host, X_Vault_Token="live") == 200
    assert len(proxy.seen) + len(proxy.seconds[0].seen) == 1
    return "first" if proxy.seen else "second"


def test_the_second_is_asked_while_the_proxys_file_is_there(proxy: Proxy) -> None:
    mark = proxy.folder / "second-127.0.0.1"
    assert asked(proxy) == "first"
    mark.touch()
    assert [asked(proxy) for _ in range(5)] == ["second"] * 5
    assert asked(proxy, path="/app") == "second"
    assert asked(proxy, "n8n.smarterbot.cl", "/webhook/a") == "first"
    mark.unlink()
    assert asked(proxy) == "first"


def gone(proxy: Proxy) -> None:
    for server in proxy.seconds:
        server.shutdown()
        server.server_close()


def test_a_second_that_is_gone_is_asked_no_more_though_the_file_is_left_over(proxy: Proxy) -> None:
    gone(proxy)
    for name in ("127.0.0.1", "vault-auth-validator"):
        (proxy.folder / f"second-{name}").touch()
    began = time.monotonic()
    assert [asked(proxy) for _ in range(5)] == ["first"] * 5
    assert [asked(proxy, path="/app") for _ in range(5)] == ["first"] * 5
    assert time.monotonic() - began < 5


def test_whoever_stands_in_for_the_validator_is_asked_for_him(proxy: Proxy) -> None:
    (proxy.folder / "second-vault-auth-validator").touch()
    assert asked(proxy, path="/app") == "first"
    assert [target for target, _ in proxy.seconds[1].seen] == ["/validate"]
    assert proxy.ask("/app", CRM) == 401
    assert proxy.ask("/app", CRM, X_Vault_Token="dead") == 401
    assert not proxy.seen


def test_nobody_slips_through_a_guard_while_the_validators_change(proxy: Proxy) -> None:
    """The file comes and goes as fast as it can, while strangers ask."""
    mark, over = proxy.folder / "second-vault-auth-validator", threading.Event()

    def change() -> None:
        while not over.is_set():
            mark.touch()
            mark.unlink()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        assert {proxy.ask("/app", CRM) for _ in range(300)} == {401}
    finally:
        over.set()
        changing.join()
    assert proxy.seconds[1].seen
