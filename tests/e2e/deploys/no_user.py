"""SSH, with a drop-in that lets nobody in who is root."""

from tasks import ssh

_right = ssh.text
ssh.text = lambda *given: _right(*given).replace("AllowUsers root\n", "AllowUsers nobody\n")
ssh.run()
