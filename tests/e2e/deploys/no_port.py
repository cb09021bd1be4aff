"""Firewall, with a table that lets nothing in but the web."""

from tasks import firewall

_right = firewall.text
firewall.text = lambda *given: _right(*given).replace("tcp dport { 22, 80, 443 }", "tcp dport { 80, 443 }")
firewall.run()
