"""Rolling: a service is replaced under load, nobody waits, no request fails, and nothing of the second container stays."""

import time

from tests.e2e.deployment import Deployment
from tests.e2e.load import RATE, under_load
from tests.e2e.test_convergence import CHATWOOT, FILES, ids
from tests.e2e.test_rollback import STACKS

CRM = "crm.smarterbot.cl"
# led-on-… say since when nobody is held any longer, and stay (rollout_shell.py); the marks go once the rush is over.
LEFT = "docker ps -a --format '{{.Names}}' | grep -e -second -e -next; docker exec caddy-proxy ls /tmp | grep -v ^led-on-"
GONE = f'for _ in $(seq 30); do [ "$({LEFT})" ] || break; sleep 1; done; {LEFT}'
# Listened to from the beginning: Docker remembers 256 events, and each look at a container's health is three of them.
LISTENING = (
    "setsid timeout 900 docker events --filter container=chatwoot-second --filter event=create --filter event=destroy "
    "--format '{{.Time}}' >/run/stood-in 2>/dev/null </dev/null & sleep 1"
)

# Seconds that a machine with other tests on it takes by itself, at least; whoever is held waits longer: until a container is stopped and
# has started. How busy it is at that time the visitors of all other services show; a quiet one is measured by tests/bench/visitors.py.
_OTHERS, _BUSY = 0.5, 2.5


def test_a_service_that_rolls_is_replaced_without_anybody_waiting(deployed: Deployment) -> None:
    before = ids(deployed)
    deployed.sh(LISTENING)
    with under_load(deployed, f"https://{CRM}/cable") as load:
        time.sleep(8)
        began = time.time()
        run = deployed.converge(overrides={"chatwoot": {"memory_mb": 1100}})
        seconds = time.time() - began
    come, gone = map(float, deployed.sh("cat /run/stood-in; rm /run/stood-in").split())
    quiet, others = load.p99(until=began), load.p99(come, gone + 1, but=CRM)
    here = load.p99(come, gone + 1, CRM)
    print(
        f"{len(load.answers)} requests; p99 {quiet * 1000:.0f} ms before, {others * 1000:.0f} ms of others in the {gone - come:.0f} s of it, "
        f"{here * 1000:.0f} ms for its own visitors; their longest {load.longest(CRM):.2f} s; the WebSocket open again after {load.reopened} s"
    )
    assert run.changes == [FILES, CHATWOOT, STACKS]
    assert set(load.came()) == {"200"}, load.came()
    assert len(load.answers) > 0.9 * RATE * seconds
    assert load.failed == []
    assert len(load.reopened) == 2
    assert max(load.reopened) < max(_BUSY, 2 * others)
    assert load.longest(CRM) < max(_BUSY, 2 * others)
    assert here <= max(2 * quiet, 2 * others, _OTHERS)
    assert deployed.sh(GONE, check=False) == ""
    after = ids(deployed)
    assert after.keys() == before.keys()
    assert before["chatwoot"] != after["chatwoot"]
    deployed.converge()
