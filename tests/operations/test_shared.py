"""What two hosts of one run may not both have is refused on each of them."""

from typing import Any

from tasks.operations import shared
from tests.fake import several


def said(*others: dict[str, Any], limit: bool = False) -> list[str]:
    """What is said on the first of these hosts."""
    with several({}, *others) as first:
        if limit:
            first.state.limit_hosts = [first]
        return [*shared.refusals()]


def test_two_hosts_of_a_run_have_no_domain_in_common() -> None:
    assert said() == []
    assert said({"zone": "other.cl", "mirror_zones": []}) == []
    assert said({"services": ["vault", "postgres"]}) == []
    assert said({"zone": "no zone"}) == []
    assert said({}, limit=True) == []
    (line,) = said({})
    assert line.startswith("domains: ")
    assert line.endswith(
        " more: also deployed to the host @fake/1: give each host its own zone, deploy one (--limit), or make them one stack by groups, as inventories/cluster.py does"
    )


OWN = {"zone": "other.cl", "mirror_zones": []}
BUCKET = {"endpoint": "https://s3.example.com", "bucket": "one"}


def test_two_hosts_of_a_run_have_no_bucket_in_common() -> None:
    def buckets(first: Any, second: Any) -> list[str]:
        with several({"backup": first}, {**OWN, "backup": second}):
            return list(shared.refusals())

    assert buckets(BUCKET, {**BUCKET, "region": "eu-1"}) == [
        "backup.bucket: one is that of the host @fake/1, too, and each would overwrite the other's backups: give each host a bucket of its own"
    ]
    assert buckets(BUCKET, {**BUCKET, "bucket": "two"}) == []
    assert buckets(BUCKET, {**BUCKET, "endpoint": "https://s3.example.net"}) == []
    assert buckets(BUCKET, None) == buckets(None, BUCKET) == buckets(None, None) == []
