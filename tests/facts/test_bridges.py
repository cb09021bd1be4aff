"""Docker's networks, as it lists them."""

from tasks.facts.bridges import NetworkState, network


def test_a_network_may_be_called_almost_anything() -> None:
    row = ["my", "net", "bridge", "false", "10.1.0.0/24 ", "1400", "br-1", "yes", "10.1.0.0/16"]
    assert network(row) == NetworkState(
        "my|net",
        "bridge",
        internal=False,
        subnets=("10.1.0.0/24",),
        mtu="1400",
        device="br-1",
        ours=True,
        pool="10.1.0.0/16",
    )
