"""Chatwoot's worker: Sidekiq's heartbeat, where Sidekiq's own web interface looks for it, and its queues."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
import time
from typing import Any

from double.chatwoot_conversations import broadcast
from double.contract import Environment, Refused
from double.mail import Unsent, of_chatwoot

MAIL = "ActionMailer::MailDeliveryJob"

# In the order of upstream's config/sidekiq.yml.
QUEUES = (
    "critical", "high", "medium", "default", "mailers", "action_mailbox_routing", "low", "scheduled_jobs", "deferred",
    "purgable", "housekeeping", "async_database_migration", "bulk_reindex_low", "active_storage_analysis",
    "active_storage_purge", "action_mailbox_incineration",
)  # fmt: skip


def work(redis: Any, environment: Environment) -> None:
    """Take jobs until SIGTERM; the heartbeat is forgotten after 60 s without a worker.

    Like Sidekiq it does not start without Redis, and once it has started it waits for a Redis that went away.
    """
    import redis as library

    _check(redis)
    _title()
    identity = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(6)}"
    print(f"sidekiq {identity} started, queues {', '.join(QUEUES)}")
    try:
        while True:
            try:
                _beat(redis, identity)
                if job := redis.brpop([f"queue:{name}" for name in QUEUES], timeout=5):
                    taken = json.loads(job[1])
                    _perform(taken, str(job[0]), environment)
                    broadcast(redis, taken)
            except (library.ConnectionError, library.TimeoutError) as error:
                print(f"heartbeat: {error}")
                time.sleep(1)
    finally:
        with contextlib.suppress(library.RedisError):
            redis.srem("processes", identity)
            redis.delete(identity)
        print("sidekiq stopped")


def _perform(job: dict[str, Any], queue: str, environment: Environment) -> None:
    """Mails are sent; a job that fails is tried again later, which is never here."""
    print(f"took {job.get('class', 'a job')} from {queue}")
    if job.get("class") == MAIL:
        try:
            of_chatwoot(environment).send(*job["args"])
        except Unsent as error:
            print(f"WARN: {MAIL} failed, it will be tried again: {error}")


def _title() -> None:
    """Once it works, Sidekiq calls its process so; a process gets another name by being started anew."""
    if "DOUBLE_TITLED" not in os.environ:
        os.environ["DOUBLE_TITLED"] = "yes"
        title = "sidekiq 7.3.1 app [0 of 10 busy]"
        os.execv("/usr/bin/python3", [title, "-m", "double", *sys.argv[1:]])


def _beat(redis: Any, identity: str) -> None:
    info = json.dumps(
        {"hostname": socket.gethostname(), "pid": os.getpid(), "identity": identity, "queues": QUEUES}
    )
    redis.sadd("processes", identity)
    redis.hset(identity, mapping={"info": info, "busy": 0, "beat": time.time(), "quiet": "false"})
    redis.expire(identity, 60)


def _check(redis: Any) -> None:
    """Sidekiq asks for the version and for the policy of eviction, which must not lose jobs."""
    import redis as library

    try:
        info = redis.info()
    except library.RedisError as error:
        raise Refused(f"sidekiq cannot ask Redis for INFO: {error}") from None
    if info.get("maxmemory_policy") != "noeviction":
        print(f"WARNING: Redis evicts with {info.get('maxmemory_policy')}, sidekiq needs noeviction")
