"""Namesakes: what carries a name of ours and is not ours is seen, named and refused; what is ours never is."""

import json
import re
from typing import Any

import pytest

from tasks.facts import DockerFact, DockerState
from tasks.model.objects import Names, names
from tasks.operations import adoption, namesakes
from tasks.run import Commands, services, stack
from tests import samples
from tests.fake import fake, texts
from tests.samples import HELPDESK

NAMES: Names = names([HELPDESK], ["smarter-net", "tenants-net"])
OURS = "c|/helpdesk-web|helpdesk|d|s|running|healthy|0|x:1|smarter-net "


def other(name: str, **changes: Any) -> str:
    """A line for a container that is not ours."""
    plain = {
        "name": f"/{name}",
        "image": "shop:1",
        "since": "2024-03-01T08:00:00.1Z",
        "status": "running",
        "project": None,
        "part": None,
        "temporary": False,
        "networks": ["bridge", None],
        "volumes": [None],
        "binds": [None],
        "hostname": "0123456789ab",
        "aliases": [None],
    }
    return f"x|{json.dumps({**plain, **changes})}"


def volume(name: str, service: str = "", project: str = "", part: str = "") -> str:
    return f"v|{json.dumps({'name': name, 'service': service, 'project': project, 'part': part})}"


def network(name: str, driver: str = "bridge", internal: str = "false", ours: str = "") -> str:
    return f"n|{name}|{driver}|{internal}|172.19.0.0/16 ||br-0|{ours}|"


def state(*lines: str) -> DockerState:
    return DockerFact().process(list(lines))


def lines(*shown: str, deployed: bool = False) -> list[str]:
    return [item.line for item in namesakes.found(state(*shown), NAMES, deployed=deployed)]


ABOUT = "shop:1, since 2024-03-01, running"


def test_each_kind_is_named_with_what_is_known_of_it_and_both_ways_out() -> None:
    shown = (
        other("helpdesk-web"),
        other("shop-db", networks=["tenants-net", None]),
        network("tenants-net"),
        other("helpdesk-notes-1", project="helpdesk", part="notes"),
        volume("helpdesk_data"),
    )
    assert lines(*shown) == [
        (
            f"container helpdesk-web: is not ours ({ABOUT}): rename it (docker rename helpdesk-web old-helpdesk-web), or set "
            'adopt = ["container:helpdesk-web"]: it is stopped just before ours starts, and kept as helpdesk-web-before-smarteros'
        ),
        (
            "network tenants-net: is not ours (bridge; on it: shop-db): take its containers out and remove it "
            "(docker network disconnect tenants-net shop-db; docker network rm tenants-net), or set "
            'adopt = ["network:tenants-net"]: it is used as it is, and its containers stay on it beside ours'
        ),
        (
            f"project helpdesk: is not ours (a Compose project of helpdesk-notes-1: {ABOUT}): end it (docker compose -p helpdesk "
            "down, which keeps its volumes), or start it again under another name (docker compose -p old-helpdesk up -d), or set "
            'adopt = ["project:helpdesk"]: ours joins it, its containers stay as they are, and '
            "`docker compose -p helpdesk down` stops ours, too"
        ),
        (
            "volume helpdesk_data: is not ours (no container uses it): copy what is in it and remove it (docker volume rm "
            'helpdesk_data), or set adopt = ["volume:helpdesk_data"]: helpdesk uses it: what it holds is used as it is'
        ),
    ]


@pytest.mark.parametrize(
    ("shown", "against"),
    [
        ([other("helpdesk-web", temporary=True)], "it was started with --rm and would be gone once stopped"),
        (
            [other("helpdesk-web", project="helpdesk", part="helpdesk-web")],
            "it is the service helpdesk-web of a Compose project called helpdesk, as ours is, and Compose would remove it",
        ),
        (
            [other("helpdesk-1", project="helpdesk", part="helpdesk-web")],
            "Compose would take helpdesk-1 for ours and remove it",
        ),
        ([network("tenants-net", internal="true")], "it is cut off from the world (internal)"),
        ([network("smarter-net", "overlay"), OURS], "it is no bridge but of the driver overlay"),
        (
            [volume("helpdesk_data"), other("db", volumes=["helpdesk_data", None])],
            "db would write to it, too",
        ),
    ],
)
def test_what_would_be_lost_or_does_not_fit_cannot_be_adopted(shown: list[str], against: str) -> None:
    (line,) = lines(*shown)
    assert f", and cannot be adopted: {against}: " in line
    assert "adopt = [" not in line


@pytest.mark.parametrize(
    ("shown", "deployed"),
    [
        ([OURS, network("smarter-net"), network("tenants-net", ours="yes")], False),
        ([volume("helpdesk_data", service="helpdesk")], False),
        ([OURS, "u|helpdesk_data", volume("helpdesk_data")], False),
        ([volume("helpdesk_data", project="helpdesk", part="helpdesk_data")], True),
        ([OURS, volume("helpdesk_data", project="helpdesk", part="helpdesk_data")], False),
        (
            [
                *("a|volume:helpdesk_data", "a|network:tenants-net", "a|project:helpdesk"),
                *(volume("helpdesk_data"), network("tenants-net"), other("x", project="helpdesk", part="x")),
            ],
            False,
        ),
        ([OURS, other("by-hand", project="helpdesk", part="notes")], True),
        ([other("shop-db"), volume("shop"), network("shop", internal="true")], False),
    ],
    ids=[
        "labels, and a network that ours are on",
        "a volume's label",
        "a container of ours on it",
        "Compose's labels on a host that was deployed",
        "Compose's labels beside a container of ours",
        "adopted",
        "beside ours in its project",
        "other names",
    ],
)
def test_what_is_ours_or_in_nobodys_way_is_not_refused(shown: list[str], deployed: bool) -> None:
    assert lines(*shown, deployed=deployed) == []


def test_one_that_answers_to_a_name_of_ours_where_ours_does_is_refused() -> None:
    """Docker sends each of both a part: by an alias, as Compose gives each service its own, or by a hostname."""
    shared = {
        "networks": ["smarter-net", None],
        "aliases": [["smarter-net", "shop"], ["smarter-net", "helpdesk-web"], None],
    }
    assert lines(other("shop-web-1", **shared)) == [
        (
            f"container shop-web-1: is not ours ({ABOUT}), and cannot be adopted: it answers to helpdesk-web on smarter-net, where ours "
            "is looked for, and would get a part of what is meant for that: take it out of there (docker network disconnect smarter-net "
            "shop-web-1), or start it again under another alias, hostname or Compose service"
        )
    ]
    # What stands in for ours for a moment.
    for name in ("helpdesk-web-next", "helpdesk-web"):
        (line,) = lines(other("shop", networks=["smarter-net", "shop", None], hostname=name))
        assert f"it answers to {name} on smarter-net, where ours is looked for" in line
    assert lines(other("shop-web-1", **{**shared, "status": "exited"})) == []


@pytest.mark.parametrize(
    ("network", "alias", "refused"),
    [
        ("shop", "postgres", False),
        ("smarter-net", "postgres", True),
        ("tenants-net", "postgres", True),  # n8n is there, and asks for it
        ("tenants-net", "redis", False),
        ("dokploy-network", "postgres", True),
        ("dokploy-network", "dokploy", True),
        ("dokploy-network", "n8n", False),  # a project of Dokploy's may be called so
    ],
)
def test_one_that_answers_where_nobody_looks_for_ours_is_in_nobodys_way(
    network: str, alias: str, refused: bool
) -> None:
    with fake({}):
        every = names(services(), stack().bridges)
    shown = state(other("shop", networks=[network, None], aliases=[[network, alias], None]))
    assert bool(namesakes.found(shown, every, deployed=True)) is refused


def test_composes_labels_alone_are_anybodys_on_a_host_without_ours() -> None:
    assert len(lines(volume("helpdesk_data", project="helpdesk", part="helpdesk_data"))) == 1


def test_a_container_that_makes_room_gets_a_name_that_nobody_has() -> None:
    assert namesakes.aside("vault", ["vault"]) == "vault-before-smarteros"
    assert namesakes.aside("vault", ["vault-before-smarteros"]) == "vault-before-smarteros-2"


def test_the_name_that_ours_has_for_a_moment_is_ours_too() -> None:
    assert lines(other("helpdesk-web-next"))[0].startswith("container helpdesk-web-next: is not ours")


# The edge

FACTS = {"docker ps -aq": [other("vault"), network("tenants-net"), volume("n8n_data")]}
FEW = ["container:vault", "network:tenants-net", "volume:n8n_data"]


def test_what_is_adopted_is_said_and_noted_once() -> None:
    with fake(FACTS, adopt=FEW):
        assert list(adoption.refusals()) == []
        assert [line.partition(":")[2].split(" (")[0] for line in adoption.warnings()] == [
            " container vault",
            " network tenants-net",
            " volume n8n_data",
        ]
        assert adoption.accepted() == {"vault"}
        assert texts(adoption.noted) == [
            (
                "umask 022 && mkdir -p /var/lib/smarteros && printf '%s\\n' network:tenants-net volume:n8n_data "
                ">>/var/lib/smarteros/adopted && sync /var/lib/smarteros/adopted"
            )
        ]
    noted = [*FACTS["docker ps -aq"], "a|network:tenants-net", "a|volume:n8n_data"]
    with fake({"docker ps -aq": noted}, adopt=FEW):
        assert texts(adoption.noted) == []


def test_an_adopted_volume_in_which_its_user_could_not_write_is_refused() -> None:
    with fake({**FACTS, "docker volume inspect": ["n8n_data"]}, adopt=FEW):
        (line,) = adoption.refusals()
    assert re.sub(r"n8nio/n8n:\S+", "IMAGE", line) == (
        "volume n8n_data: what it holds is root's, and n8n runs as node and could not write there: give it to that user "
        "(docker run --rm --user 0 --entrypoint chown --volume n8n_data:/home/node/.n8n IMAGE -R node /home/node/.n8n)"
    )


def test_what_is_not_there_is_no_error() -> None:
    with fake({"docker ps -aq": []}, adopt=FEW):
        assert (list(adoption.refusals()), list(adoption.warnings()), texts(adoption.noted)) == ([], [], [])


def test_only_what_is_adopted_makes_room() -> None:
    def room() -> Commands:
        yield str(adoption.making_room(next(item for item in services() if item.name == "vault")))

    with fake(FACTS):
        assert next(room()) == "None"
        assert [line.split(":")[0] for line in adoption.refusals()] == [
            "container vault",
            "network tenants-net",
            "volume n8n_data",
        ]
    with fake(FACTS, adopt=FEW):
        assert next(room()) == "{'vault': 'vault-before-smarteros'}"


def test_the_proxys_namesake_is_the_takeovers_where_that_is_set() -> None:
    facts = {"docker ps -aq": [other("caddy-proxy")]}
    with fake(facts):
        assert len(list(adoption.refusals())) == 1
    with fake(facts, takeover="caddy"):
        assert list(adoption.refusals()) == []


def test_the_setting_is_checked() -> None:
    assert samples.refusals(
        adopt=["volume:n8n-data", "container:valut", "network:tenants-net", "network:tenants-net"]
    ) == [
        "adopt.0: no volume of ours is called 'n8n-data', so it is left alone as it is (did you mean 'volume:n8n_data'?)",
        "adopt.1: no container of ours is called 'valut', so it is left alone as it is (did you mean 'container:vault'?)",
        "adopt.3: 'network:tenants-net' is listed twice",
    ]
    assert samples.refusals(adopt=["vol:n8n_data"]) == [
        "adopt.0: 'vol:n8n_data' is no object of Docker's (like volume:n8n_data; kinds are container, network, project, volume, and folder)"
    ]
    assert samples.refusals(adopt=["project:odoo", "container:n8n-next"]) == []
